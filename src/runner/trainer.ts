/** The Python child as an object: commands in, events out, and what it printed when it crashes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { z } from 'zod';
import { AppError } from '../lib/errors';
import { readJsonLines } from '../lib/json-lines';
import type { Logger } from '../lib/logger';
import { type CoordinateCommand, type TrainCommand, TrainerEvent, type TrainerSpec } from '../protocol/trainer';
import { openChildLog } from './child-log';
import { pythonPackageDir } from './python';

export type TrainerError =
  | { code: 'runner/child-crashed'; exitCode: number | null; signal: string | null; output: string }
  /** The child cannot start with this spec: the device does not exist, or the directory holds no model. */
  | { code: 'runner/bad-spec'; output: string };

type Command = z.input<typeof TrainCommand> | z.input<typeof CoordinateCommand>;
type WithoutId<C> = C extends { id: number } ? Omit<C, 'id'> : never;
type Answer<T extends TrainerEvent['type']> = Extract<TrainerEvent, { type: T }>;
export type Progress = Answer<'progress'>;

/** A running Python child. */
export interface Trainer extends AsyncDisposable {
  readonly pid: number;
  /** Resolves when the child accepts commands; rejects when it ends before. */
  readonly ready: Promise<Answer<'ready'>>;
  /** Resolves when the child has ended, with the reason unless it was stopped. */
  readonly ended: Promise<AppError | undefined>;
  /**
   * Sends a command and waits for the event that answers it. Throws the child's own error (its code), or
   * `runner/child-crashed` with its last output.
   */
  run<T extends TrainerEvent['type']>(
    command: WithoutId<Command>,
    answer: T,
    onProgress?: (event: Progress) => void,
  ): Promise<Answer<T>>;
  /** Cancels the running round; its `run` then throws `train/canceled`. */
  cancel(): void;
  /** Waits for an event that answers no command, such as the result of a benchmark. */
  next<T extends TrainerEvent['type']>(type: T): Promise<Answer<T>>;
  /** Kills a stuck child at once; it counts as crashed. */
  kill(): void;
}

interface Waiter {
  type: TrainerEvent['type'];
  resolve(event: TrainerEvent): void;
  reject(error: unknown): void;
  onProgress?: ((event: Progress) => void) | undefined;
}

/**
 * Milliseconds a child may take to end after its stdin is closed: half before SIGTERM, the rest before
 * SIGKILL.
 */
const STOP_GRACE_MS = 5000;
/** Lines of output kept for the error. */
const LAST_LINES = 20;
/**
 * How long to wait for the rest of a dead child's output: a process it left behind may hold the pipes open.
 */
const LAST_OUTPUT_MS = 2000;
const BAD_SPEC = 64;

/**
 * Starts `python -m emeth` with the spec on its stdin. Commands go to stdin, events arrive on file descriptor
 * 3; stdout and stderr are only logs. The child ends when its stdin closes, so it cannot outlive this
 * process.
 */
export function openTrainer(spec: TrainerSpec, deps: { python: string; logger: Logger }): Trainer {
  const child = spawn(deps.python, ['-m', 'emeth'], {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    env: childEnvironment(spec.threads),
    // A process group, so that torchrun's processes end with it, and Ctrl-C reaches only this process.
    detached: true,
  });
  return new PythonTrainer(child, spec, deps.logger);
}

class PythonTrainer implements Trainer {
  readonly ready: Promise<Answer<'ready'>>;
  readonly ended: Promise<AppError | undefined>;
  private readonly waiters = new Map<number, Waiter>();
  private readonly typed: Waiter[] = [];
  private readonly output: string[] = [];
  private readonly input: Writable;
  private nextId = 1;
  private running: number | undefined;
  private stopping = false;
  /** Why the child ended, once it has. */
  private end: AppError<TrainerError> | undefined;

  constructor(
    private readonly child: ChildProcess,
    spec: TrainerSpec,
    private readonly logger: Logger,
  ) {
    const [stdin, stdout, stderr, events] = child.stdio as [Writable, Readable, Readable, Readable, unknown];
    this.input = stdin;
    // A write to a child that just died fails; its exit reports that, not the pipe.
    stdin.on('error', () => undefined);
    const log = openChildLog(join(spec.workDir, 'child.log'));
    const logs = [stdout, stderr].map((stream) => this.readLog(stream, log.write));
    const read = Promise.allSettled([this.readEvents(events), ...logs]).finally(log.close);
    this.ended = this.awaitEnd(read);
    this.ready = this.next('ready');
    this.ready.catch(() => undefined);
    this.write(spec);
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  async run<T extends TrainerEvent['type']>(
    command: WithoutId<Command>,
    answer: T,
    onProgress?: (event: Progress) => void,
  ): Promise<Answer<T>> {
    await this.ready;
    if (this.end) throw this.end;
    const id = this.nextId++;
    if (command.type === 'round.run') this.running = id;
    const event = await new Promise<TrainerEvent>((resolve, reject) => {
      this.waiters.set(id, { type: answer, resolve, reject, onProgress });
      this.write({ ...command, id });
    });
    return event as Answer<T>;
  }

  cancel(): void {
    if (this.running !== undefined) this.write({ type: 'round.cancel', id: this.running });
  }

  next<T extends TrainerEvent['type']>(type: T): Promise<Answer<T>> {
    return new Promise<TrainerEvent>((resolve, reject) => {
      if (this.end) reject(this.end);
      else this.typed.push({ type, resolve, reject });
    }) as Promise<Answer<T>>;
  }

  kill(): void {
    this.signal('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping = true;
    this.input.end();
    const gentle = setTimeout(() => this.signal('SIGTERM'), STOP_GRACE_MS / 2);
    const firm = setTimeout(() => this.signal('SIGKILL'), STOP_GRACE_MS);
    await this.ended;
    clearTimeout(gentle);
    clearTimeout(firm);
  }

  private write(line: object): void {
    if (this.input.writable) this.input.write(`${JSON.stringify(line)}\n`);
  }

  /** Signals the whole process group. */
  private signal(name: NodeJS.Signals): void {
    if (this.child.pid === undefined) return;
    try {
      process.kill(-this.child.pid, name);
    } catch {
      // it has ended already
    }
  }

  private async readEvents(events: Readable): Promise<void> {
    const onBadLine = (line: string) => this.logger.warn('Python child sent an invalid event', { line });
    for await (const line of readJsonLines(events, onBadLine)) {
      const event = TrainerEvent.safeParse(line);
      if (event.success) this.onEvent(event.data);
      else onBadLine(JSON.stringify(line).slice(0, 500));
    }
  }

  private onEvent(event: TrainerEvent): void {
    if (!('id' in event)) {
      const at = this.typed.findIndex((waiter) => waiter.type === event.type);
      if (at >= 0) this.typed.splice(at, 1)[0]?.resolve(event);
      return;
    }
    const waiter = this.waiters.get(event.id);
    if (!waiter) return;
    if (event.type === 'progress') {
      waiter.onProgress?.(event);
      return;
    }
    this.waiters.delete(event.id);
    if (this.running === event.id) this.running = undefined;
    if (event.type === waiter.type) waiter.resolve(event);
    else if (event.type === 'failed') waiter.reject(new AppError({ code: event.code }, event.message));
    else waiter.reject(new Error(`The Python child answered ${event.type} instead of ${waiter.type}`));
  }

  private async awaitEnd(read: Promise<unknown>): Promise<AppError | undefined> {
    const exit = await once(this.child, 'exit').then(
      ([code, signal]) => ({ code, signal }) as ChildEnd,
      (failure: Error): ChildEnd => ({ code: null, signal: null, failure }),
    );
    // Its helper processes must end with it; only then do the pipes they share with it close.
    this.signal('SIGKILL');
    if (!exit.failure) await Promise.race([read, delay(LAST_OUTPUT_MS, undefined, { ref: false })]);
    this.end = toError(exit, this.output.join('\n'));
    for (const waiter of [...this.waiters.values(), ...this.typed]) waiter.reject(this.end);
    this.waiters.clear();
    return this.stopping || exit.code === 0 ? undefined : this.end;
  }

  private async readLog(stream: Readable, keep: (line: string) => void): Promise<void> {
    for await (const text of createInterface({ input: stream })) {
      const line = text.slice(0, 1000);
      this.output.push(line);
      if (this.output.length > LAST_LINES) this.output.shift();
      keep(line);
      this.logger.debug('Python', { line });
    }
  }
}

interface ChildEnd {
  code: number | null;
  signal: string | null;
  /** Why it could not be started. */
  failure?: Error | undefined;
}

function toError({ code, signal, failure }: ChildEnd, printed: string): AppError<TrainerError> {
  const output = failure?.message ?? printed;
  if (code === BAD_SPEC) {
    return new AppError({ code: 'runner/bad-spec', output }, output || 'The Python child refused its spec.');
  }
  return new AppError(
    { code: 'runner/child-crashed', exitCode: code, signal, output },
    `The Python child ended (${signal ?? `status ${code}`})${output ? `: ${output}` : '.'}`,
  );
}

/**
 * Returns the child's environment without EMETH_ settings, which may hold keys and passwords it does not
 * need.
 */
function childEnvironment(threads: number): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('EMETH_'));
  const limits = threads > 0 ? { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) } : {};
  const path = [pythonPackageDir, process.env.PYTHONPATH].filter(Boolean).join(':');
  // In UTF-8 mode, file names and output mean to Python what they mean here, whatever the locale.
  const fixed = { PYTHONPATH: path, PYTHONUNBUFFERED: '1', PYTHONUTF8: '1', TOKENIZERS_PARALLELISM: 'false' };
  return { ...Object.fromEntries(inherited), ...limits, ...fixed };
}
