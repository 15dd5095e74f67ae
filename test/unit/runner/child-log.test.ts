/** The log of a child, in a directory that the last child could write to. */
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { openChildLog } from '../../../src/runner/child-log';
import { openScratch } from '../../support/scratch';

test('link left in its place: removed, and its target is as it was', async () => {
  await using scratch = await openScratch();
  await writeFile(scratch.file('keys'), 'a key');
  await symlink(scratch.file('keys'), scratch.file('child.log'));
  const log = openChildLog(scratch.file('child.log'));
  log.write('Traceback');
  log.close();
  expect(await readFile(scratch.file('keys'), 'utf8')).toBe('a key');
  expect(await readFile(scratch.file('child.log'), 'utf8')).toBe('Traceback\n');
});
