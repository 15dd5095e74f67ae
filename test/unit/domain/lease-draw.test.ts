/** The draw of the leases that a verifier does again. */
import { leaseKey } from '../../../src/domain/audit';
import { drawLeases } from '../../../src/domain/lease-draw';

const leases = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ round: Math.floor(i / 4), start: i * 10 }));
const JOB = `0x${'0e'.repeat(16)}`;

test.each([
  [1, 1],
  [3, 3],
  [59, 3],
  [61, 4],
  [1000, 50],
])('job of %i leases: %i are drawn, each once, in order', (count, expected) => {
  const drawn = drawLeases('seed', JOB, leases(count));
  expect(drawn).toHaveLength(expected);
  expect([...drawn].sort((a, b) => a.start - b.start)).toEqual(drawn);
  expect(new Set(drawn.map(leaseKey)).size).toBe(expected);
});

test('same seed and job, any order of leases: same draw', () => {
  const names = (seed: string, job: string, all = leases(200)) => drawLeases(seed, job, all).map(leaseKey).sort();
  const drawn = names('seed', JOB);
  expect(names('seed', JOB, leases(200).reverse())).toEqual(drawn);
  expect(names('other', JOB)).not.toEqual(drawn);
  expect(names('seed', JOB.replace('0e', '0f'))).not.toEqual(drawn);
});

test('many seeds: every lease is drawn about equally often', () => {
  const counts = new Map<string, number>();
  const all = leases(100);
  for (let seed = 0; seed < 2000; seed++) {
    for (const lease of drawLeases(`${seed}`, JOB, all)) {
      counts.set(leaseKey(lease), (counts.get(leaseKey(lease)) ?? 0) + 1);
    }
  }
  // 5 of 100 in 2,000 draws: 100 each, with a standard deviation of 10.
  expect(counts.size).toBe(100);
  for (const count of counts.values()) expect(Math.abs(count - 100)).toBeLessThan(50);
});
