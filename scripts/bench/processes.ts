/** The processes that a benchmark consists of, as they see each other and as the system sees them. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** Starts a process of the same benchmark, which can collect its garbage when it is asked how large it is. */
export function startCollecting(file: string, args: readonly string[]): ChildProcess {
  return fork(file, args, { execArgv: ['--expose-gc', ...process.execArgv] });
}

/** Returns what the process says next. Throws when it ends instead. */
export async function answerOf<T>(child: ChildProcess): Promise<T> {
  const stop = new AbortController();
  const ended = once(child, 'exit', { signal: stop.signal }).then(([code, signal]) =>
    Promise.reject(new Error(`A process of this benchmark ended with ${code ?? signal}`)),
  );
  try {
    const [message] = await Promise.race([once(child, 'message', { signal: stop.signal }), ended]);
    return message as T;
  } finally {
    stop.abort();
    ended.catch(() => undefined);
  }
}

/** The most megabytes that a process has held; Linux only. Throws when it has ended. */
export function mostMb(pid: number | 'self'): number {
  const kib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`Process ${pid} has ended`);
  return (Number(kib) * 1024) / 1e6;
}
