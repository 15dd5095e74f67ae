/** How soon audits catch a cheat, and what they cost: the rule of the draw, over many seeds. */

import { isDrawn } from '../../../src/domain/audit';
import { sha256 } from '../../../src/lib/hash';

const RATE = 0.05;
const seeds = Array.from({ length: 10_000 }, (_, i) => sha256(`seed ${i}`));

/** Whether a worker's lease with this ordinal is drawn, one lease to a round. */
function isAudited(seed: string, ordinal: number): boolean {
  return isDrawn(seed, { jobId: '0x7', round: ordinal, start: 50 * ordinal, ordinal }, RATE);
}

const range = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i);
const partOf = (values: readonly boolean[]) => values.filter(Boolean).length / values.length;

test.each([
  [10, 0.9],
  [40, 0.98],
])('cheating from the second lease on, %i leases: caught in %d of jobs or more', (leases, least) => {
  const caught = seeds.map((seed) => range(2, leases).some((ordinal) => isAudited(seed, ordinal)));
  expect(partOf(caught)).toBeGreaterThanOrEqual(least);
});

test.each([
  ['fresh', 1, 0.12],
  ['known', 200, 0.06],
])('forty rounds of %s workers, their ordinals from %i: at most %d done again', (_who, first, most) => {
  const audited = seeds.slice(0, 500).flatMap((seed) => range(first, 40).map((ordinal) => isAudited(seed, ordinal)));
  expect(partOf(audited)).toBeLessThanOrEqual(most);
});

test('the first lease of anybody: always audited', () => {
  expect(seeds.every((seed) => isAudited(seed, 1))).toBe(true);
});
