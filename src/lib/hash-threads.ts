/** sha256 of open files beside the event loop: a few threads that read what is written, and hash it. */
import type { FileHandle } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { AppError, describeError } from './errors';
import { sha256Stream } from './hash';

/** Trouble of this process or its disk, never of whoever sent the bytes. */
export type HashError = { code: 'hash/failed' };

/** To read and hash less takes no longer than to start a thread. */
export const THREADED_BYTES = 1024 * 1024;

/** One core is left to the event loop; more than four hash faster than disks write. */
const MAX_THREADS = Math.min(4, Math.max(1, availableParallelism() - 1));
/** A thread without work ends: it holds some megabytes. */
const IDLE_MS = 2000;
/** Of its own: what this process loads first, a thread that only hashes does not need. */
const OF_THREADS = {
  eval: true,
  execArgv: [],
  resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
};

/** So much is read of a file before the next has its turn: a small one need not wait for a large one. */
const TURN_BYTES = 16 * 1024 * 1024;

/** What a thread is asked. `upTo` undefined: the hash of the whole file. */
interface Ask {
  id: number;
  fd: number;
  upTo: number | undefined;
  turnBytes: number;
}

interface Done {
  hex?: string | undefined;
  /** Its turn is over, and there may be more to read. */
  isCut?: boolean | undefined;
}

type Answer = Done | { reason: string };

const threads: HashThread[] = [];
let lastId = 0;

/**
 * The sha256 of one file, which may still be growing. Whoever asks keeps the file open until the answer: the
 * thread reads by its descriptor, and so exactly the file that was opened.
 */
export class FileHash {
  private readonly id = ++lastId;
  private readonly thread = HashThread.leastBusy(this.id);

  /** Hashes up to so many bytes, while more are written. */
  async advance(fd: number, upTo: number): Promise<void> {
    await this.ask(fd, upTo);
  }

  /** Hashes the rest, to the end of the file; returns the hash of all of it. */
  async digest(fd: number): Promise<string> {
    const hex = await this.ask(fd, undefined);
    if (hex === undefined) throw failed('it is over already');
    return hex;
  }

  private async ask(fd: number, upTo: number | undefined): Promise<string | undefined> {
    for (;;) {
      const { hex, isCut } = await this.thread.ask({ id: this.id, fd, upTo, turnBytes: TURN_BYTES });
      if (!isCut) return hex;
    }
  }

  /** Frees what the thread remembers of it; nothing may be asked afterwards. */
  drop(): void {
    this.thread.drop(this.id);
  }
}

/** sha256 of a whole file that is open, and stays so. */
export async function hashOpenFile(file: FileHandle): Promise<string> {
  const { size } = await file.stat();
  if (size < THREADED_BYTES) return sha256Stream(file.createReadStream({ start: 0, autoClose: false }));
  const hash = new FileHash();
  try {
    return await hash.digest(file.fd);
  } finally {
    hash.drop();
  }
}

/** A thread, and those who wait for its answers in the order of what they asked. */
class HashThread {
  private readonly worker = new Worker(`(${serveHashes})()`, OF_THREADS);
  private readonly waiting: { resolve(done: Done): void; reject(error: Error): void }[] = [];
  private readonly hashes = new Set<number>();
  private idle: NodeJS.Timeout | undefined;

  constructor() {
    this.worker.on('message', (answer: Answer) => this.onAnswer(answer));
    this.worker.on('error', (error) => this.end(describeError(error)));
    this.worker.on('exit', (code) => this.end(`its thread ended with ${code}`));
    this.worker.unref();
  }

  /** Returns the thread with the fewest files; a new one where all have some and there may be more. */
  static leastBusy(id: number): HashThread {
    let [found] = [...threads].sort((a, b) => a.hashes.size - b.hashes.size);
    if (!found || (found.hashes.size > 0 && threads.length < MAX_THREADS)) {
      found = new HashThread();
      threads.push(found);
    }
    clearTimeout(found.idle);
    found.hashes.add(id);
    return found;
  }

  ask(ask: Ask): Promise<Done> {
    if (!threads.includes(this)) return Promise.reject(failed('its thread has ended'));
    this.worker.ref();
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.worker.postMessage(ask);
    });
  }

  drop(id: number): void {
    if (!this.hashes.delete(id)) return;
    this.worker.postMessage({ id });
    if (this.hashes.size > 0) return;
    this.idle = setTimeout(() => this.end('its thread was unused'), IDLE_MS).unref();
  }

  private onAnswer(answer: Answer): void {
    const asker = this.waiting.shift();
    if (this.waiting.length === 0) this.worker.unref();
    if ('reason' in answer) asker?.reject(failed(answer.reason));
    else asker?.resolve(answer);
  }

  private end(reason: string): void {
    const at = threads.indexOf(this);
    if (at < 0) return;
    threads.splice(at, 1);
    for (const { reject } of this.waiting.splice(0)) reject(failed(reason));
    void this.worker.terminate();
  }
}

function failed(reason: string): AppError<HashError> {
  return new AppError({ code: 'hash/failed' }, `A file could not be hashed: ${reason}; look at its disk.`);
}

/**
 * What runs in a thread. It is given as text, because a thread starts from a file and this one is another in
 * tests than in `dist`: nothing outside it can be named here.
 */
function serveHashes(): void {
  const { parentPort } = process.getBuiltinModule('node:worker_threads');
  const { createHash } = process.getBuiltinModule('node:crypto');
  const { readSync } = process.getBuiltinModule('node:fs');
  const piece = Buffer.allocUnsafe(256 * 1024);
  const hashes = new Map<number, { hash: ReturnType<typeof createHash>; bytes: number }>();

  const read = ({ id, fd, upTo = Number.POSITIVE_INFINITY, turnBytes }: Ask): Answer => {
    const state = hashes.get(id) ?? { hash: createHash('sha256'), bytes: 0 };
    hashes.set(id, state);
    const end = state.bytes + turnBytes;
    while (state.bytes < upTo) {
      if (state.bytes >= end) return { isCut: true };
      const count = readSync(fd, piece, 0, Math.min(piece.length, upTo - state.bytes), state.bytes);
      if (count === 0) break;
      state.hash.update(piece.subarray(0, count));
      state.bytes += count;
    }
    if (upTo !== Number.POSITIVE_INFINITY) {
      return state.bytes < upTo ? { reason: `it has ${state.bytes} bytes instead of ${upTo}` } : {};
    }
    hashes.delete(id);
    return { hex: state.hash.digest('hex') };
  };

  parentPort?.on('message', (ask: Ask | { id: number }) => {
    if (!('fd' in ask)) return void hashes.delete(ask.id);
    try {
      parentPort.postMessage(read(ask));
    } catch (error) {
      parentPort.postMessage({ reason: String(error) });
    }
  });
}
