/** Which files with secrets count as private. */
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { exposedMode, isPrivateMode } from '../../../src/lib/private-file';
import { openScratch } from '../../support/scratch';

const [own, foreign] = [
  { isOwn: true, path: '/home/a/key' },
  { isOwn: false, path: '/etc/emeth/..data/key' },
];
const mounted = { isOwn: false, path: '/run/secrets/key' };

test.each([
  ['own, 0600', 0o600, own, true],
  ['own, 0400', 0o400, own, true],
  ['own, read by the group', 0o640, own, false],
  ['own, read by all', 0o604, own, false],
  ["somebody else's, read through the group", 0o440, foreign, true],
  ["somebody else's, written by the group", 0o660, foreign, false],
  ["somebody else's, read by all", 0o444, foreign, false],
  ['mounted secret, read by all', 0o444, mounted, true],
  ['mounted secret, written by all', 0o666, mounted, false],
  ['look-alike of a mount', 0o444, { isOwn: false, path: '/tmp/run/secrets/key' }, false],
])('%s: decided by the mode', (_name, mode, where, isPrivate) => expect(isPrivateMode(mode, where)).toBe(isPrivate));

test('link to a secret, as Kubernetes mounts it: judged by its target', async () => {
  await using scratch = await openScratch();
  await mkdir(scratch.file('..2026'));
  await writeFile(scratch.file('..2026/key'), 'x', { mode: 0o400 });
  await symlink('..2026', scratch.file('..data'));
  await symlink('..data/key', scratch.file('key'));
  expect(exposedMode(scratch.file('key'))).toBeUndefined();
  await chmod(scratch.file('..2026/key'), 0o644);
  expect(exposedMode(scratch.file('key'))).toBe('0644');
});
