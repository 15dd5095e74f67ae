/** Files that somebody untrusted has written: only regular ones, where they are said to be. */
import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { isWithin, openRegular } from '../../../src/lib/paths';
import { openScratch } from '../../support/scratch';

test.each([
  ['/a/b', '/a', true],
  ['/a', '/a', true],
  ['/a/..b', '/a', true],
  ['/ab', '/a', false],
  ['/a/../b', '/a', false],
  ['/', '/a', false],
])('isWithin %s, %s: %s', (path, dir, expected) => {
  expect(isWithin(path, dir)).toBe(expected);
});

describe('openRegular', () => {
  test('regular file: opened', async () => {
    await using scratch = await openScratch();
    await writeFile(scratch.file('a'), 'text');
    await using file = await openRegular(scratch.file('a'), scratch.path);
    expect(await file.readFile('utf8')).toBe('text');
  });

  test('symbolic link, folder, pipe: files/not-a-file', async () => {
    await using scratch = await openScratch();
    await writeFile(scratch.file('secret'), 'text');
    await symlink(scratch.file('secret'), scratch.file('link'));
    await mkdir(scratch.file('folder'));
    execFileSync('sh', ['-c', 'mkfifo "$0"', scratch.file('pipe')]);
    for (const name of ['link', 'folder', 'pipe']) {
      await expect(openRegular(scratch.file(name))).rejects.toMatchObject({ code: 'files/not-a-file' });
    }
  });

  test('a folder on the way is a link to elsewhere: files/outside', async () => {
    await using scratch = await openScratch();
    await mkdir(scratch.file('home'));
    await mkdir(scratch.file('job'));
    await writeFile(scratch.file('home/key'), 'text');
    await symlink(scratch.file('home'), scratch.file('job/model'));
    const opening = openRegular(scratch.file('job/model/key'), scratch.file('job'));
    await expect(opening).rejects.toMatchObject({ code: 'files/outside' });
  });
});
