/** What the master's log says of one worker, so that the demo can show how a cheat is found out. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';

const Line = z.looseObject({ level: z.string(), message: z.string(), reason: z.string().optional() });

/** What the log calls a number that a worker gave and that was found to be another. */
const CLAIM = /^Worker claims/;

/** Warnings about one worker in a log of JSON lines, as sentences. */
export class WorkerNotes {
  /** All of them so far. */
  readonly all: string[] = [];

  constructor(
    private readonly logPath: string,
    private readonly worker: string,
  ) {}

  /** Returns those that were not there before. */
  async readNew(): Promise<string[]> {
    const text = await readFile(this.logPath, 'utf8').catch(() => '');
    const fresh = findNotes(text, this.worker).slice(this.all.length);
    this.all.push(...fresh);
    return fresh;
  }
}

/**
 * Lists the different warnings about a worker, and its false claims. A last line that is still being written
 * is left for later.
 */
export function findNotes(log: string, worker: string): string[] {
  const lines = log.slice(0, log.lastIndexOf('\n') + 1).split('\n');
  const notes = lines
    .filter((line) => line.includes(worker))
    .flatMap((line) => Line.safeParse(JSON.parse(line)).data ?? [])
    .filter(({ level, message }) => level === 'warn' || CLAIM.test(message))
    .map(({ message, reason }) => (reason === undefined ? message : `${message}: ${reason}`));
  return [...new Set(notes)];
}
