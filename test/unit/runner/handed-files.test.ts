/** Files handed to a child for the time of one command. */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { HandedFiles } from '../../../src/runner/handed-files';
import { openScratch } from '../../support/scratch';

async function openHanded() {
  const scratch = await openScratch();
  for (const name of ['work', 'handed', 'blobs']) await mkdir(scratch.file(name));
  await writeFile(scratch.file('blobs/a'), 'blob a');
  const handed = new HandedFiles(scratch.file('handed'), scratch.file('work'));
  return { scratch, handed, [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
}

test('file outside its directory: linked for the command, and gone after', async () => {
  await using open = await openHanded();
  const { scratch, handed } = open;
  const [blob, out] = [scratch.file('blobs/a'), scratch.file('work/out')];
  const command = { type: 'fold', id: 1, updates: [{ path: blob, weight: 2 }], theta: blob, out };
  const seen = await handed.during(command, async (named) => {
    const [update] = named.updates;
    expect(update?.path).toBe(named.theta);
    expect(await readFile(named.theta, 'utf8')).toBe('blob a');
    expect((await stat(named.theta)).ino).toBe((await stat(blob)).ino);
    return named;
  });
  expect(seen.theta.startsWith(scratch.file('handed/'))).toBe(true);
  expect(seen).toMatchObject({ type: 'fold', id: 1, out, updates: [{ weight: 2 }] });
  expect(await readdir(scratch.file('handed'))).toEqual([]);
});

test('no such file, or a hash in the place of one: kept as it is', async () => {
  await using open = await openHanded();
  const command = { theta: open.scratch.file('blobs/none'), path: 'ab12' };
  expect(await open.handed.during(command, async (named) => named)).toEqual(command);
});

test('path that leads out of its directory by dots: handed over', async () => {
  await using open = await openHanded();
  const theta = `${open.scratch.file('work')}/../blobs/a`;
  const named = await open.handed.during({ theta }, async (command) => command);
  expect(named.theta.startsWith(open.scratch.file('handed/'))).toBe(true);
});

test('command fails: its files are gone too', async () => {
  await using open = await openHanded();
  const command = { theta: open.scratch.file('blobs/a') };
  await expect(open.handed.during(command, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await readdir(open.scratch.file('handed'))).toEqual([]);
});

test('file on another disk: copied', async () => {
  await using open = await openHanded();
  await using memory = await openScratch('/dev/shm');
  await writeFile(memory.file('b'), 'blob b');
  const read = await open.handed.during({ theta: memory.file('b') }, ({ theta }) => readFile(theta, 'utf8'));
  expect(read).toBe('blob b');
});
