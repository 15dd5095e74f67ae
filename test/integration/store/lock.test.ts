/** The lock of a data directory among real processes: killed, paused, and robbed of its file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock as clock } from '../../../src/lib/clock';
import { lockDataDir } from '../../../src/store/lock';
import { openScratch } from '../../support/scratch';

interface Holder {
  child: ChildProcess;
  /** Returns the next line that the process prints. */
  says(): Promise<string>;
}

test('disposed: the directory can be locked again', async () => {
  await using scratch = await openScratch();
  for (const _ of [1, 2]) await (await lockDataDir(scratch.path, clock))[Symbol.asyncDispose]();
});

test('holder alive or paused: refused, with its name; killed: taken over at once', async () => {
  await using scratch = await openScratch();
  const { child, says } = startHolder(scratch.path);
  expect(await says()).toBe('held');
  const refusal = { code: 'store/locked', message: expect.stringContaining(`process ${child.pid} on `) };
  await expect(lockDataDir(scratch.path, clock)).rejects.toMatchObject(refusal);
  child.kill('SIGSTOP');
  await expect(lockDataDir(scratch.path, clock)).rejects.toMatchObject(refusal);

  child.kill('SIGKILL');
  await once(child, 'exit');
  // The first attempt succeeds: nothing has to become stale.
  await using lock = await lockDataDir(scratch.path, clock);
  expect(lock).toBeDefined();
});

test('holder killed while two others wait for it: one of them gets the directory', async () => {
  await using scratch = await openScratch();
  const first = startHolder(scratch.path);
  expect(await first.says()).toBe('held');
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  const rivals = [startHolder(scratch.path), startHolder(scratch.path)];
  const said = await Promise.all(rivals.map(({ says }) => says()));
  for (const { child } of rivals) child.kill('SIGKILL');
  expect(said.sort()).toEqual(['held', 'store/locked']);
});

test('file of the lock removed: its holder ends with the reason', async () => {
  await using scratch = await openScratch();
  const { says } = startHolder(scratch.path);
  expect(await says()).toBe('held');
  await rm(scratch.file('lock.sqlite'));
  expect(await says()).toBe('store/lock-lost');
});

function startHolder(dir: string): Holder {
  const script = join(__dirname, '../../fixtures/lock-holder.ts');
  const args = ['-r', 'ts-node/register/transpile-only', script, dir];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  if (!child.stdout) throw new Error('no output to read');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return { child, says: async () => String((await lines.next()).value) };
}
