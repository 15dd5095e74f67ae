import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { SenderProcess } from '../fixtures/sender-process';
import { compileFixture } from './compiled';

export type { SenderProcess } from '../fixtures/sender-process';

export interface SenderRun {
  /** Resolves when the process is gone. */
  ended: Promise<{ isKilled: boolean; steps: string[] }>;
}

/** Starts senders in processes of their own; the next one loads its code while the present one works. */
export interface SenderProcesses extends AsyncDisposable {
  start(told: SenderProcess): SenderRun;
}

export async function openSenderProcesses(): Promise<SenderProcesses> {
  const script = await compileFixture('sender-process');
  const spawnNext = () => spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  let next = spawnNext();
  return {
    start(told) {
      const child = next;
      next = spawnNext();
      const ended = outcomeOf(child);
      child.stdin.end(JSON.stringify(told));
      return { ended };
    },
    async [Symbol.asyncDispose]() {
      const gone = once(next, 'exit');
      next.kill('SIGKILL');
      await gone;
    },
  };
}

async function outcomeOf(child: ChildProcess): Promise<{ isKilled: boolean; steps: string[] }> {
  const printed = text(child.stdout as NodeJS.ReadableStream);
  const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (signal === null && status !== 0) throw new Error(`The sender's process ended with status ${status}`);
  return { isKilled: signal === 'SIGKILL', steps: (await printed).split(' ').filter(Boolean) };
}
