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
}

/**
 * Plans how many blocks each worker gets in the next round. The round holds `steps` blocks per worker on
 * average, split by speed so that all finish together; the rest of the job is spread evenly over the
 * remaining rounds, so that the last one is not a stub. Workers whose share rounds to nothing are left out.
 * Whoever is not measured yet is taken to be as fast as the slowest of the others, whatever it announces;
 * whoever is not proven yet gets at most half of the round and twice the median.
 */
export function planRound(
  candidates: ReadonlyMap<Address, Candidate>,
  steps: number,
  availableBlocks: number,
): Map<Address, number> {
  const isProven = (worker: Address) => candidates.get(worker)?.isProven ?? false;
  const speeds = capUnproven(believedSpeeds(candidates), isProven, 0);
  const plan = shareOutBlocks(speeds, steps * candidates.size, availableBlocks);
  const limited = new Map([...plan].map(([worker, blocks]) => [worker, Math.min(blocks, limitOf(candidates, worker))]));
  // One block more than half is rounding.
  const capped = capUnproven(limited, isProven, 1);
  return new Map([...capped].map(([worker, blocks]) => [worker, Math.max(1, Math.floor(blocks))]));
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

function shareOutBlocks(speeds: ReadonlyMap<Address, number>, perRound: number, availableBlocks: number) {
  const workers = [...speeds].sort(([a], [b]) => byAddress(a, b));
  const total = workers.reduce((sum, [, speed]) => sum + speed, 0);
  const plan = new Map<Address, number>();
  if (workers.length === 0 || availableBlocks <= 0 || total <= 0) return plan;

  const roundsLeft = Math.max(1, Math.round(availableBlocks / perRound));
  const size = Math.min(availableBlocks, Math.ceil(availableBlocks / roundsLeft));

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
