/** Sends generated inputs through a door: each must be answered in time, and none may leave memory behind. */
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { fuzzDoors } from './fuzz-doors';

export type DoorName = keyof typeof fuzzDoors;
export const doorNames = Object.keys(fuzzDoors) as DoorName[];

export interface FuzzReport {
  door: DoorName;
  seed: number;
  inputs: number;
  seconds: number;
  /** Growth of the heap in MB from a tenth of the inputs to their end; needs Node's --expose-gc. */
  heapGrowthMb: number | undefined;
}

/** An input that takes longer counts as one that hangs. */
const HANGS_MS = 10_000;

/** Throws with the smallest failing input found, and the seed that makes it again. */
export async function fuzz(door: DoorName, inputs: number, seed: number): Promise<FuzzReport> {
  await using opened = await fuzzDoors[door]();
  const startedMs = performance.now();
  let taken = 0;
  let early: number | undefined;
  const property = fc.asyncProperty(opened.inputs, async (input) => {
    if (++taken === Math.ceil(inputs / 10)) early = heapBytes();
    await inTime(opened.take(input));
  });
  await fc.assert(property, { numRuns: inputs, seed, endOnFailure: true });
  const late = heapBytes();
  const growth = early === undefined || late === undefined ? undefined : (late - early) / 2 ** 20;
  return { door, seed, inputs, seconds: (performance.now() - startedMs) / 1000, heapGrowthMb: growth };
}

async function inTime(work: Promise<void>): Promise<void> {
  const timer = new AbortController();
  const hung = delay(HANGS_MS, undefined, { signal: timer.signal }).then(
    () => {
      throw new Error(`no answer within ${HANGS_MS} ms`);
    },
    () => undefined,
  );
  await Promise.race([work, hung]).finally(() => timer.abort());
}

function heapBytes(): number | undefined {
  if (!global.gc) return undefined;
  global.gc();
  return process.memoryUsage().heapUsed;
}
