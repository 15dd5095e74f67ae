import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import type { z } from 'zod';
import { AppError } from '../lib/errors';
import { readJsonLines } from '../lib/json-lines';
import type { Logger } from '../lib/logger';
import { type CoordinateCommand, type TrainCommand, TrainerEvent, type TrainerSpec } from '../protocol/trainer';
import { pythonPackageDir } from './python';

export type TrainerError =
  | { code: 'runner/child-crashed'; exitCode: number | null; signal: string | null; words: string }
  | { code: 'runner/child-said-no'; childCode: string };

type Command = z.input<typeof TrainCommand> | z.input<typeof CoordinateCommand>;
type WithoutId<C> = C extends { id: number } ? Omit<C, 'id'> : never;
type Answer<T extends TrainerEvent['type']> = Extract<TrainerEvent, { type: T }>;
type Progress = Answer<'progress'>;

/** A running Python child. */
export interface Trainer extends AsyncDisposable {
  readonly pid: number;
  /** Resolves when the child takes commands; rejects when it dies before. */
  readonly ready: Promise<Answer<'ready'>>;
  /** Resolves when the child is gone, with why if it was not asked to go. */
  readonly ended: Promise<AppError | undefined>;
  /**
   * Gives a command and waits for the event that answers it. Throws the child's own refusal (its code), or
   * `runner/child-crashed` with its last words.
   */
  run<T extends TrainerEvent['type']>(command: WithoutId<Command>, answer: T, onProgress?: (event: Progress) => void): Promise<Answer<T>>;
  /** Gives up the round that is running; its `run` then throws `train/canceled`. */
  cancel(): void;
  /** Waits for an event that answers no command: of a benchmark or a generation. */
  next<T extends TrainerEvent['type']>(type: T): Promise<Answer<T>>;
}

interface Waiter {
  type: TrainerEvent['type'];
  resolve(event: TrainerEvent): void;
  reject(error: unknown): void;
  onProgress?: ((event: Progress) => void) | undefined;
}

const STOP_GRACE_MS = 5000;
const LAST_WORDS = 20;

/**
 * Starts `python -m emeth` with the spec on its stdin. Commands go to stdin, events come on file descriptor 3; stdout and stderr are
 * only logs. The child ends when its stdin closes, so it cannot outlive us even if we are killed.
 */
export function openTrainer(spec: TrainerSpec, deps: { python: string; logger: Logger }): Trainer {
  const child = spawn(deps.python, ['-m', 'emeth'], {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    env: childEnvironment(spec.threads),
    // Its own group, so that torchrun's processes end with it.
    detached: true,
  });
  return new PythonTrainer(child, spec, deps.logger);
}

class PythonTrainer implements Trainer {
  readonly ready: Promise<Answer<'ready'>>;
  readonly ended: Promise<AppError | undefined>;
  private readonly waiters = new Map<number, Waiter>();
  private readonly typed: Waiter[] = [];
  private readonly words: string[] = [];
  private readonly input: Writable;
  private nextId = 1;
  private running: number | undefined;
  private stopping = false;

  constructor(
    private readonly child: ChildProcess,
    spec: TrainerSpec,
    private readonly logger: Logger,
  ) {
    const [stdin, stdout, stderr, events] = child.stdio as unknown as [Writable, Readable, Readable, Readable];
    this.input = stdin;
    // Writing to a child that just died is reported by its exit, not by the pipe.
    stdin.on('error', () => undefined);
    for (const stream of [stdout, stderr]) void this.readLog(stream);
    const read = this.readEvents(events);
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
      this.typed.push({ type, resolve, reject });
    }) as Promise<Answer<T>>;
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

  private signal(name: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, name);
    } catch {
      // it has ended meanwhile
    }
  }

  private async readEvents(events: Readable): Promise<void> {
    const onBadLine = (line: string) => this.logger.warn('Python child sent what is no event', { line });
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
    if (event.type === 'progress') return waiter.onProgress?.(event);
    this.waiters.delete(event.id);
    if (this.running === event.id) this.running = undefined;
    if (event.type === 'failed') return waiter.reject(new AppError({ code: event.code }, event.message));
    if (event.type === waiter.type) return waiter.resolve(event);
    waiter.reject(new Error(`The Python child answered ${event.type} instead of ${waiter.type}`));
  }

  private async awaitEnd(read: Promise<void>): Promise<AppError | undefined> {
    const failure = once(this.child, 'error').then(([error]) => error as Error);
    const exit = once(this.child, 'close').then(([code, signal]) => ({ code, signal }) as { code: number | null; signal: string | null });
    const end = await Promise.race([failure, exit]);
    await read.catch(() => undefined);
    const words = end instanceof Error ? end.message : this.words.join('\n');
    const { code, signal } = end instanceof Error ? { code: null, signal: null } : end;
    // Its helpers must not go on without it.
    this.signal('SIGKILL');
    const error = new AppError<TrainerError>(
      { code: 'runner/child-crashed', exitCode: code, signal, words },
      `The Python child ended (${signal ?? `status ${code}`})${words ? `: ${words}` : '.'}`,
    );
    for (const waiter of [...this.waiters.values(), ...this.typed]) waiter.reject(error);
    this.waiters.clear();
    return this.stopping || code === 0 ? undefined : error;
  }

  private async readLog(stream: Readable): Promise<void> {
    for await (const line of createInterface({ input: stream })) {
      this.words.push(line.slice(0, 1000));
      if (this.words.length > LAST_WORDS) this.words.shift();
      this.logger.debug('Python', { line: line.slice(0, 1000) });
    }
  }
}

function childEnvironment(threads: number): NodeJS.ProcessEnv {
  const limits = threads > 0 ? { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) } : {};
  const path = [pythonPackageDir, process.env.PYTHONPATH].filter(Boolean).join(':');
  return { ...process.env, ...limits, PYTHONPATH: path, PYTHONUNBUFFERED: '1', TOKENIZERS_PARALLELISM: 'false' };
}
