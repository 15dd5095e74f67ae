/** A data directory on a file system that is mounted read-only, as in a locked-down container. */
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { builtCli } from '../../support/cli';
import { openScratch } from '../../support/scratch';

test.each([
  ['new', 'mounted/data'],
  ['made before', 'mounted'],
])('read-only data directory, %s: one sentence with the remedy, status 2', async (_name, dir) => {
  await using scratch = await openScratch();
  await mkdir(scratch.file('mounted'));
  await writeFile(scratch.file('worker.json'), '{"master_node_url":"http://127.0.0.1:1"}');
  const worker = ['worker', '--config', scratch.file('worker.json'), '--data-dir', scratch.file(dir)];
  const script = `mount -t tmpfs -o ro none '${scratch.file('mounted')}' && exec "$@"`;
  const args = ['--map-root-user', '--mount', 'sh', '-c', script, 'sh', process.execPath, builtCli(), ...worker];
  const { status, stderr } = spawnSync('unshare', args, { encoding: 'utf8' });
  const sentence = `The data directory ${scratch.file(dir)} cannot be written: it lies on a read-only file system`;
  expect({ status, stderr }).toEqual({ status: 2, stderr: `emeth: ${sentence}; choose another with --data-dir.\n` });
});
