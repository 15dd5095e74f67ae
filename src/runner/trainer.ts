/** The Python child as an object: commands in, events out, and what it printed when it crashes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { z } from 'zod';
import { AppError } from '../lib/errors';
import { readJsonLines } from '../lib/json-lines';
import { readLines } from '../lib/lines';
import type { Logger } from '../lib/logger';
import {
  type CoordinateCommand,
  type GenerateCommand,
  type TrainCommand,
  TrainerEvent,
  type TrainerSpec,
} from '../protocol/trainer';
import { openChildLog } from './child-log';
import { watchDisk } from './disk-watch';
import { type Enclosure, enclose, noWalls, type Walls } from './enclose';
import { pathsIn } from './handed-files';

export type TrainerError =
  | { code: 'runner/child-crashed'; exitCode: number | null; signal: string | null; output: string }
  /** Of several processes for one model, one had not enough memory; a single one lives on and answers so. */
  | { code: 'train/oom'; output: string }
  /** The child cannot start with this spec: the device does not exist, or the directory holds no model. */
  | { code: 'runner/bad-spec'; output: string }
  /** The child names another file than it was asked to write. */
  | { code: 'runner/foreign-file'; path: string };

type Command = z.input<typeof TrainCommand | typeof CoordinateCommand | typeof GenerateCommand>;
type WithoutId<C> = C extends { id: number } ? Omit<C, 'id'> : never;
type Answer<T extends TrainerEvent['type']> = Extract<TrainerEvent, { type: T }>;
export type Progress = Answer<'progress'>;
/** What a child tells before its answer: a text comes in pieces, other work reports its progress. */
export type Interim<T> = T extends 'written' ? Answer<'piece'> : Progress;

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
    onInterim?: (event: Interim<T>) => void,
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
  /** The files that the command named; an answer can name no other. */
  files?: readonly string[] | undefined;
  resolve(event: TrainerEvent): void;
  reject(error: unknown): void;
  onInterim?: ((event: Progress | Answer<'piece'>) => void) | undefined;
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
/** Invalid events of one child that are told; more could fill the node's own log. */
const MAX_WARNINGS = 10;
const BAD_SPEC = 64;
const NO_MEMORY = 75;

/**
 * Starts `python -m emeth` with the spec on its stdin. Commands go to stdin, events arrive on file descriptor
 * 3; stdout and stderr are only logs. The child ends when its stdin closes, so it cannot outlive this
 * process. Without `walls` it is not shut in; `openTrainers` has those of a role.
 */
export function openTrainer(
  spec: TrainerSpec,
  deps: { python: string; logger: Logger; walls?: Walls | undefined },
): Trainer {
  const enclosure = enclose(spec, deps.python, deps.walls ?? noWalls);
  const [command = '', ...args] = enclosure.command;
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    env: enclosure.env,
    // A process group, so that torchrun ends with it, as its processes do with torchrun; and Ctrl-C reaches
    // only this process.
    detached: true,
  });
  const trainer = new PythonTrainer(child, spec, enclosure, deps.logger);
  if (!deps.walls) return trainer;
  const watch = watchDisk(spec.workDir, () => trainer.stopForSpace(), deps.walls.floorBytes);
  void trainer.ended.then(() => watch[Symbol.dispose]());
  return trainer;
}

class PythonTrainer implements Trainer {
  readonly ready: Promise<Answer<'ready'>>;
  readonly ended: Promise<AppError | undefined>;
  private readonly waiters = new Map<number, Waiter>();
  private readonly typed: Waiter[] = [];
  private readonly output: string[] = [];
  private readonly input: Writable;
  private readonly isTraining: boolean;
  private nextId = 1;
  /** The round under way; it cannot be canceled in the child before it is sent. */
  private running: { id: number; isSent: boolean; isCanceled: boolean } | undefined;
  private stopping = false;
  /** Why the child ended, once it has. */
  private end: AppError<TrainerError> | undefined;

  constructor(
    private readonly child: ChildProcess,
    spec: TrainerSpec,
    private readonly enclosure: Enclosure,
    private readonly logger: Logger,
  ) {
    const [stdin, stdout, stderr, events] = child.stdio as [Writable, Readable, Readable, Readable, unknown];
    this.input = stdin;
    this.isTraining = spec.kind === 'train';
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
    onInterim?: (event: Interim<T>) => void,
  ): Promise<Answer<T>> {
    await this.ready;
    if (this.end) throw this.end;
    const id = this.nextId++;
    const round = { id, isSent: false, isCanceled: false };
    if (command.type === 'round.run') this.running = round;
    const ask = (named: typeof command) =>
      this.ask({ ...named, id }, { type: answer, onInterim: onInterim as Waiter['onInterim'] }, round);
    // What people write is no path, whatever it begins with.
    const handed = command.type === 'write' ? undefined : this.enclosure.handed;
    const event = await (handed ? handed.during(command, ask) : ask(command));
    return event as Answer<T>;
  }

  cancel(): void {
    if (!this.running) return;
    this.running.isCanceled = true;
    if (this.running.isSent) this.write({ type: 'round.cancel', id: this.running.id });
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

  /** Kills a child that leaves no room on the disk. */
  stopForSpace(): void {
    this.output.push('It was stopped, as the disk it works on is nearly full; make room there.');
    this.kill();
  }

  private ask(
    command: { id: number },
    waiter: Pick<Waiter, 'type' | 'onInterim'>,
    round: NonNullable<PythonTrainer['running']>,
  ): Promise<TrainerEvent> {
    return new Promise((resolve, reject) => {
      if (this.end) return reject(this.end);
      this.waiters.set(command.id, { ...waiter, files: pathsIn(command), resolve, reject });
      this.write(command);
      round.isSent = true;
      if (round.isCanceled) this.cancel();
    });
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
    let bad = 0;
    const onBadLine = (line: string) => {
      if (bad++ < MAX_WARNINGS) this.logger.warn('Python child sent an invalid event', { line });
    };
    for await (const line of readJsonLines(events, onBadLine)) {
      const event = TrainerEvent.safeParse(line);
      if (event.success) this.onEvent(event.data);
      else onBadLine(JSON.stringify(line).slice(0, 500));
    }
  }

  private onEvent(event: TrainerEvent): void {
    if (event.type === 'preparing') return this.logPreparing(event);
    if (!('id' in event)) {
      const at = this.typed.findIndex((waiter) => waiter.type === event.type);
      if (at >= 0) this.typed.splice(at, 1)[0]?.resolve(event);
      return;
    }
    const waiter = this.waiters.get(event.id);
    if (!waiter) return;
    if (event.type === 'progress' || event.type === 'piece') {
      waiter.onInterim?.(event);
      return;
    }
    this.waiters.delete(event.id);
    if (this.running?.id === event.id) this.running = undefined;
    const foreign = filesIn(event).find((path) => !waiter.files?.includes(path));
    if (foreign !== undefined) {
      // It was told where to write. To take another file from it could be to take one of the owner's.
      const message = `The Python child answered with a file that it was not asked for, and was stopped: ${foreign}`;
      waiter.reject(new AppError<TrainerError>({ code: 'runner/foreign-file', path: foreign }, message));
      this.kill();
    } else if (event.type === waiter.type) waiter.resolve(event);
    else if (event.type === 'failed') waiter.reject(new AppError({ code: event.code }, event.message));
    else waiter.reject(new Error(`The Python child answered ${event.type} instead of ${waiter.type}`));
  }

  private logPreparing({ type: _, bytesPerSecond, ...facts }: Answer<'preparing'>): void {
    this.logger.info('Data are being prepared', { ...facts, megabytesPerSecond: round(bytesPerSecond / 1e6) });
  }

  private async awaitEnd(read: Promise<unknown>): Promise<AppError | undefined> {
    const exit = await once(this.child, 'exit').then(
      ([code, signal]) => ({ code, signal: signal ?? signalOf(code) }) as ChildEnd,
      (failure: Error): ChildEnd => ({ code: null, signal: null, failure }),
    );
    // Its helper processes must end with it; only then do the pipes they share with it close.
    this.signal('SIGKILL');
    if (!exit.failure) await Promise.race([read, delay(LAST_OUTPUT_MS, undefined, { ref: false })]);
    this.enclosure[Symbol.dispose]();
    this.end = toError(exit, this.output.join('\n'), this.isTraining);
    for (const waiter of [...this.waiters.values(), ...this.typed]) waiter.reject(this.end);
    this.waiters.clear();
    return this.stopping || exit.code === 0 ? undefined : this.end;
  }

  private async readLog(stream: Readable, keep: (line: string) => void): Promise<void> {
    for await (const line of readLines(stream, 1000)) {
      this.output.push(line);
      if (this.output.length > LAST_LINES) this.output.shift();
      keep(line);
      this.logger.debug('Python', { line });
    }
  }
}

const round = (value: number) => Math.round(value * 10) / 10;

interface ChildEnd {
  code: number | null;
  signal: string | null;
  /** Why it could not be started. */
  failure?: Error | undefined;
}

function toError({ code, signal, failure }: ChildEnd, printed: string, isTraining: boolean): AppError<TrainerError> {
  const output = failure?.message ?? printed;
  if (code === NO_MEMORY && isTraining) {
    return new AppError({ code: 'train/oom', output }, output || 'A process of the Python child ran out of memory.');
  }
  if (code === BAD_SPEC) {
    return new AppError({ code: 'runner/bad-spec', output }, output || 'The Python child refused its spec.');
  }
  return new AppError(
    { code: 'runner/child-crashed', exitCode: code, signal, output },
    `The Python child ended (${signal ?? `status ${code}`})${output ? `: ${output}` : '.'}`,
  );
}

/** Paths of the files that an answer speaks of. */
function filesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const { path } = value as { path?: unknown };
  return [...(typeof path === 'string' ? [path] : []), ...Object.values(value).flatMap(filesIn)];
}

/** Tells a signal from a status: bubblewrap reports how the program inside was ended as a shell would. */
function signalOf(code: number | null): string | null {
  const found = Object.entries(constants.signals).find(([, number]) => number + 128 === code);
  return found?.[0] ?? null;
}
