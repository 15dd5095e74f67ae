/** How many blocks each worker gets in a round, by its speed. */
import type { Address } from './ids';
import { byAddress } from './order';

/** A worker that could take a lease, as far as its share is concerned. */
export interface Candidate {
  /** Blocks per second by the master's clock; undefined before the worker's first accepted lease. */
  measured?: number | undefined;
  /** Blocks per second that are taken for granted of what the worker announces. */
  announced: number;
  /** The most blocks it may get. */
  limit: number;
  /** Its measured speed alone decides. */
  isProven: boolean;
  /** It is not proven only because it has had few leases yet. */
  isNew?: boolean | undefined;
  /** It is at an audit, and takes its part once it is back. */
  isBusy?: boolean | undefined;
}

/** The part of all measured speed that may wait for the end of a round. */
const MOST_IDLE = 0.15;
/** The largest part of a short round, of an average one: while parts are held back, each costs idle time. */
const SHORT_PART = 1 / 8;

/**
 * Plans how many blocks each worker gets in the next round. The round holds `steps` blocks per worker on
 * average, split by speed so that all finish together; the rest of the job is spread evenly over the
 * remaining rounds, so that the last one is not a stub. Workers whose share rounds to nothing are left out,
 * and those that are not free. Whoever is not measured yet is taken to be as fast as the slowest of the
 * others, whatever it announces; whoever is not proven yet gets at most half of the round and twice the
 * median. Where much speed would wait for the others because of that, or of a limit, the round is shorter.
 * What the free ones can do in one round is not kept for those at an audit, or they would be left with half
 * of a rest, and half of that, time and again.
 */
export function planRound(
  candidates: ReadonlyMap<Address, Candidate>,
  steps: number,
  availableBlocks: number,
): Map<Address, number> {
  const believed = believedSpeeds(candidates);
  const speeds = capUnproven(believed, provenAmong(candidates), 0);
  const free = new Map([...candidates].filter(([, { isBusy }]) => isBusy !== true));
  const isLast = availableBlocks <= steps * (candidates.size * partOf(free, speeds) + LEAST_LATE);
  if (isLast && free.size > 0 && free.size < candidates.size)
    return planRound(free, Math.max(steps, availableBlocks / free.size), availableBlocks);

  const size = roundSize(steps * candidates.size, availableBlocks);
  const planOf = (mostBlocks: number) => planBlocks(candidates, speeds, Math.min(size, mostBlocks));
  const isGood = (plan: ReadonlyMap<Address, number>) => idlePart(plan, believed, candidates) <= MOST_IDLE;

  const whole = planOf(size);
  if (whole.size === 0 || isGood(whole)) return whole;
  const even = planOf(sizeFor(speeds, (worker) => limitOf(candidates, worker)));
  if (isGood(even) || ![...candidates.values()].some(({ isNew }) => isNew)) return even;
  return planOf(sizeFor(speeds, () => Math.ceil(SHORT_PART * steps)));
}

/** The part of all speed that some have. */
function partOf(some: ReadonlyMap<Address, unknown>, speeds: ReadonlyMap<Address, number>): number {
  const sumOf = (all: readonly (readonly [Address, number])[]) => all.reduce((sum, [, speed]) => sum + speed, 0);
  return sumOf([...speeds].filter(([worker]) => some.has(worker))) / sumOf([...speeds]);
}

/** Shares so many blocks out, as far as limits and caps let it. */
function planBlocks(
  candidates: ReadonlyMap<Address, Candidate>,
  speeds: ReadonlyMap<Address, number>,
  size: number,
): Map<Address, number> {
  const plan = shareOutBlocks(speeds, size);
  const limited = new Map([...plan].map(([worker, part]) => [worker, Math.min(part, limitOf(candidates, worker))]));
  // One block more than half is rounding.
  const capped = [...capUnproven(limited, provenAmong(candidates), 1)];
  const free = capped.filter(([worker]) => candidates.get(worker)?.isBusy !== true);
  return new Map(free.map(([worker, blocks]) => [worker, Math.max(1, Math.floor(blocks))]));
}

/** The part of all measured speed in a round that waits for its end. */
function idlePart(
  plan: ReadonlyMap<Address, number>,
  believed: ReadonlyMap<Address, number>,
  candidates: ReadonlyMap<Address, Candidate>,
): number {
  const speedOf = (worker: Address) => believed.get(worker) ?? 1;
  const longest = Math.max(...[...plan].map(([worker, blocks]) => blocks / speedOf(worker)));
  const measured = [...plan].filter(([worker]) => candidates.get(worker)?.measured !== undefined);
  if (measured.length === 0) return 0;
  const busy = measured.reduce((total, [, blocks]) => total + blocks, 0);
  return 1 - busy / (longest * measured.reduce((total, [worker]) => total + speedOf(worker), 0));
}

function provenAmong(candidates: ReadonlyMap<Address, Candidate>): (worker: Address) => boolean {
  return (worker) => candidates.get(worker)?.isProven ?? false;
}

/** Returns the largest round in which nobody's part is above what it may be. */
function sizeFor(speeds: ReadonlyMap<Address, number>, mostOf: (worker: Address) => number): number {
  const total = [...speeds.values()].reduce((sum, speed) => sum + speed, 0);
  const sizes = [...speeds].map(([worker, speed]) => (mostOf(worker) * total) / speed);
  return Math.max(1, Math.round(Math.min(...sizes)));
}

/** The blocks of a round: those that are left are spread evenly over the rounds that are left. */
function roundSize(perRound: number, availableBlocks: number): number {
  const roundsLeft = Math.max(1, Math.round(availableBlocks / perRound));
  return Math.min(availableBlocks, Math.ceil(availableBlocks / roundsLeft));
}

/** What decides about the part of a worker that is free while the others are at a round. */
export interface RoundUnderWay {
  /** Blocks of each lease of the round. */
  parts: readonly number[];
  /** Until all of them should be done. */
  leftMs: number;
  steps: number;
  availableBlocks: number;
}

/** A late lease takes this part of the time that is left, so that nobody waits for it. */
const LATE_PART = 0.95;
/** The part of an average lease from which on a late one is worth what it costs. */
const LEAST_LATE = 0.25;

/**
 * Plans how many blocks a measured worker does beside a round that is under way, within the bounds of any
 * other; 0 where it is better to wait for the next one.
 */
export function planLate({ measured, limit, isProven }: Candidate, round: RoundUnderWay): number {
  const { parts, leftMs, steps, availableBlocks } = round;
  const sorted = [...parts].sort((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  const most = isProven
    ? limit
    : Math.min(
        limit,
        2 * median,
        parts.reduce((sum, part) => sum + part, 0),
      );
  const blocks = Math.floor(Math.min(((measured ?? 0) * LATE_PART * leftMs) / 1000, most));
  if (blocks >= availableBlocks) return availableBlocks;
  return blocks < LEAST_LATE * steps ? 0 : blocks;
}

function believedSpeeds(candidates: ReadonlyMap<Address, Candidate>): Map<Address, number> {
  const all = [...candidates.values()];
  const measured = all.flatMap((candidate) => candidate.measured ?? []);
  const slowest = Math.min(...(measured.length > 0 ? measured : all.map(({ announced }) => announced)));
  return new Map([...candidates].map(([worker, candidate]) => [worker, candidate.measured ?? slowest]));
}

/** Parts of any kind: speeds, which bring the caps into the split, or the blocks that came of it. */
function capUnproven(
  parts: ReadonlyMap<Address, number>,
  isProven: (worker: Address) => boolean,
  tolerance: number,
): Map<Address, number> {
  const sorted = [...parts.values()].sort((a, b) => a - b);
  if (sorted.length < 2) return new Map(parts);
  // The lower median: with two workers, the other one's part.
  const most = 2 * (sorted[Math.floor((sorted.length - 1) / 2)] ?? 0);
  const capped = new Map([...parts].map(([worker, part]) => [worker, isProven(worker) ? part : Math.min(part, most)]));
  const total = [...capped.values()].reduce((sum, part) => sum + part, 0);
  for (const [worker, part] of capped) {
    const half = total - part + tolerance;
    if (!isProven(worker) && part > half) capped.set(worker, half);
  }
  return capped;
}

function shareOutBlocks(speeds: ReadonlyMap<Address, number>, size: number): Map<Address, number> {
  const workers = [...speeds].sort(([a], [b]) => byAddress(a, b));
  const total = workers.reduce((sum, [, speed]) => sum + speed, 0);
  const plan = new Map<Address, number>();
  if (workers.length === 0 || size <= 0 || total <= 0) return plan;

  // Cumulative rounding: the parts add up to `size` whatever the speeds are.
  let speedSoFar = 0;
  let given = 0;
  for (const [worker, speed] of workers) {
    speedSoFar += speed;
    const upTo = Math.round((size * speedSoFar) / total);
    if (upTo > given) plan.set(worker, upTo - given);
    given = upTo;
  }
  return plan;
}

function limitOf(candidates: ReadonlyMap<Address, Candidate>, worker: Address): number {
  return candidates.get(worker)?.limit ?? 0;
}
