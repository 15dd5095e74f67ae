/** Starts the sender fixture in processes of its own, for tests that kill senders or run several at once. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { SenderProcess } from '../fixtures/sender-process';
import { compileFixture } from './compiled';

export type { SenderProcess } from '../fixtures/sender-process';

export interface SenderRun {
  /** Resolves when the process has exited. */
  ended: Promise<{ isKilled: boolean; steps: string[] }>;
}

/** Starts senders in processes of their own; the next one loads its code while the present one works. */
export interface SenderProcesses extends AsyncDisposable {
  start(task: SenderProcess): SenderRun;
}

/** Keeps `ahead` processes ready: as many as are to start at the same moment. */
export async function openSenderProcesses(ahead = 1): Promise<SenderProcesses> {
  const script = await compileFixture('sender-process');
  const spawnNext = () => spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ready = Array.from({ length: ahead }, spawnNext);
  return {
    start(task) {
      ready.push(spawnNext());
      const child = ready.shift() as ChildProcess & { stdin: Writable };
      const ended = outcomeOf(child);
      child.stdin.end(JSON.stringify(task));
      return { ended };
    },
    async [Symbol.asyncDispose]() {
      const gone = ready.map((child) => once(child, 'exit'));
      for (const child of ready) child.kill('SIGKILL');
      await Promise.all(gone);
    },
  };
}

async function outcomeOf(child: ChildProcess): Promise<{ isKilled: boolean; steps: string[] }> {
  const printed = text(child.stdout as NodeJS.ReadableStream);
  const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (signal === null && status !== 0) throw new Error(`The sender's process ended with status ${status}`);
  return { isKilled: signal === 'SIGKILL', steps: (await printed).split(' ').filter(Boolean) };
}
