/** Which leases of a finished job are re-executed to check it. */
import { sha256 } from '../lib/hash';
import { leaseKey } from './audit';

/** The part of a job's leases that is drawn, and the least number. */
const DRAWN_PART = 0.05;
const LEAST_DRAWN = 3;

/**
 * Draws the leases whose hashes with the seed are the smallest: nobody knows them before the seed, everybody
 * can repeat the draw after it. Returned in the order given.
 */
export function drawLeases<L extends { round: number; start: number }>(
  seed: string,
  jobId: string,
  leases: readonly L[],
): L[] {
  const count = Math.max(LEAST_DRAWN, Math.ceil(leases.length * DRAWN_PART));
  const ranked = leases.map((lease) => ({ lease, rank: sha256(`${seed} ${jobId} ${leaseKey(lease)}`) }));
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  const drawn = new Set(ranked.slice(0, count).map(({ lease }) => lease));
  return leases.filter((lease) => drawn.has(lease));
}
