/** Runs this program's own CLI as separate processes: roles of the demo, single commands. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { AppError } from '../lib/errors';

type CliProcessError =
  | { code: 'runner/command-failed'; command: string; exitCode: number | null }
  | { code: 'runner/bad-answer'; command: string };

/** A role of this program running as a separate process. */
export interface RoleProcess extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /** Resolves with the exit status, or null when a signal ended it. */
  readonly exited: Promise<number | null>;
  isRunning(): boolean;
}

const STOP_GRACE_MS = 8000;
const dist = join(__dirname, '..', '..', 'dist');
const cliPath = join(dist, 'cli.js');

/**
 * Starts `emeth <args>`, or another entry of the build, as a separate process whose output goes to `logFile`.
 * `env` is added to this process's own variables. Disposing sends SIGTERM, and SIGKILL after eight seconds.
 */
export function startRole(
  name: string,
  args: readonly string[],
  logFile: string,
  { entry = 'cli.js', env = {} }: { entry?: string; env?: NodeJS.ProcessEnv } = {},
): RoleProcess {
  const log = openSync(logFile, 'a');
  const child = spawn(process.execPath, [join(dist, entry), ...args], {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  });
  closeSync(log);
  if (child.pid === undefined) throw failed(args, null, 'it could not be started');
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    name,
    pid: child.pid,
    exited,
    isRunning,
    async [Symbol.asyncDispose]() {
      if (isRunning()) await end(child, exited);
    },
  };
}

/**
 * Runs `emeth <args> --json`, with `input` on its stdin, and returns what it printed. Throws
 * `runner/command-failed` with its last output.
 */
export async function runCommand(args: readonly string[], signal: AbortSignal, input = ''): Promise<unknown> {
  const child = spawn(process.execPath, [cliPath, ...args, '--json'], { stdio: ['pipe', 'pipe', 'pipe'], signal });
  // A command that reads nothing may end first.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const [out, errors, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (exitCode !== 0) throw failed(args, exitCode, errors.trim().split('\n').slice(-5).join('\n'));
  try {
    return JSON.parse(out);
  } catch (cause) {
    const command = args.join(' ');
    throw new AppError<CliProcessError>(
      { code: 'runner/bad-answer', command },
      `\`emeth ${command}\` did not print JSON.`,
      { cause },
    );
  }
}

async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
  await exited;
  clearTimeout(timer);
}

function failed(args: readonly string[], exitCode: number | null, output: string): AppError<CliProcessError> {
  const command = args.join(' ');
  return new AppError(
    { code: 'runner/command-failed', command, exitCode },
    `\`emeth ${command}\` ended with status ${exitCode}: ${output}`,
  );
}
