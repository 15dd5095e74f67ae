/** Data directories: who may look into them, and what if they cannot be written. */
import { chmod, mkdir, stat, writeFile } from 'node:fs/promises';
import { makeDataDir, openMode } from '../../../src/app/data-dir';
import { openScratch } from '../../support/scratch';

test('no such directory yet: made, with the inner one', async () => {
  await using scratch = await openScratch();
  await makeDataDir(scratch.file('a/b'), 'logs');
  expect((await stat(scratch.file('a/b/logs'))).isDirectory()).toBe(true);
});

test('file in the way: throws store/no-data-dir with the reason and the remedy', async () => {
  await using scratch = await openScratch();
  await writeFile(scratch.file('file'), '');
  await expect(makeDataDir(scratch.file('file/data'))).rejects.toMatchObject({
    code: 'store/no-data-dir',
    message: `The data directory ${scratch.file('file/data')} cannot be written: a part of its path is a file; choose another with --data-dir.`,
  });
});

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

test('new directory: for this account alone', async () => {
  await using scratch = await openScratch();
  await makeDataDir(scratch.file('a'), 'logs');
  expect([await modeOf(scratch.file('a')), await modeOf(scratch.file('a/logs'))]).toEqual(['700', '700']);
});

test('directory of an earlier version that others can read: closed to them', async () => {
  await using scratch = await openScratch();
  const dir = scratch.file('a');
  await mkdir(dir);
  await writeFile(scratch.file('a/lock.sqlite'), '');
  await chmod(dir, 0o755);
  expect(await openMode(dir)).toBe('0755');
  await makeDataDir(dir);
  expect(await modeOf(dir)).toBe('700');
  expect(await openMode(dir)).toBeUndefined();
});

test('directory that no role has used: left as it is', async () => {
  await using scratch = await openScratch();
  await mkdir(scratch.file('shared'));
  await chmod(scratch.file('shared'), 0o755);
  await makeDataDir(scratch.file('shared'));
  expect(await modeOf(scratch.file('shared'))).toBe('755');
});
