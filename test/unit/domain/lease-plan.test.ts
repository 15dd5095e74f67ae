/** How a round is shared out by speed. */
import fc from 'fast-check';
import { Address } from '../../../src/domain/ids';
import { type Candidate, planLate, planRound } from '../../../src/domain/lease-plan';

const address = (n: number) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);
const candidates = (...all: Candidate[]) => new Map(all.map((candidate, i) => [address(i + 1), candidate]));
const proven = (measured: number): Candidate => ({ measured, announced: 1, limit: 1e9, isProven: true });
const unproven = (measured: number): Candidate => ({ ...proven(measured), isProven: false });
/** A worker that only announced its speed. */
const fresh = (announced: number, limit = 1e9): Candidate => ({ announced, limit, isProven: false });
const plan = (steps: number, available: number, ...all: Candidate[]) => {
  const planned = planRound(candidates(...all), steps, available);
  return all.map((_, i) => planned.get(address(i + 1)) ?? 0);
};
const sum = (parts: readonly number[]) => parts.reduce((a, b) => a + b, 0);

describe('proven workers', () => {
  test('any speeds: blocks follow speed, H of them per worker on average', () => {
    expect(plan(50, 1000, proven(1), proven(1))).toEqual([50, 50]);
    expect(plan(50, 1000, proven(4), proven(1))).toEqual([80, 20]);
  });

  test('little is left: the last round is no stub', () => {
    expect(sum(plan(50, 110, proven(1), proven(1)))).toBe(110);
    expect(sum(plan(50, 160, proven(1), proven(1)))).toBe(80);
  });

  test('no worker or no block: nothing is planned', () => {
    expect(planRound(new Map(), 50, 100).size).toBe(0);
    expect(plan(50, 0, proven(1))).toEqual([0]);
  });
});

describe('workers that only announced a speed', () => {
  test('any announcement among measured ones: as much as the slowest', () => {
    expect(plan(50, 1050, proven(3), proven(1), fresh(1e12))).toEqual([90, 30, 30]);
  });

  test('none is measured: equal parts, whatever they announce', () => {
    expect(plan(50, 1000, fresh(1e12), fresh(1))).toEqual([50, 50]);
  });

  test('a probe is smaller than the part: the round is smaller', () => {
    expect(plan(50, 1000, fresh(1e12, 12), fresh(1, 12))).toEqual([12, 12]);
    expect(plan(50, 1000, proven(1), fresh(1, 12))).toEqual([50, 12]);
  });
});

describe('workers that are not proven', () => {
  test('4 times as fast as the only other: half of the round', () => {
    expect(plan(50, 1000, unproven(4), unproven(1))).toEqual([50, 50]);
  });

  test('100 times as fast as two others: twice the median', () => {
    expect(plan(50, 1050, unproven(100), proven(1), proven(1))).toEqual([75, 38, 37]);
  });

  test('the other has a probe: no more than that and a block', () => {
    expect(plan(50, 1000, unproven(1), fresh(1, 12))).toEqual([13, 12]);
  });

  test('alone: the whole round', () => {
    expect(plan(50, 1000, unproven(4))).toEqual([50]);
  });
});

describe('parts that are held back: others do not get so much that these wait', () => {
  const first = (measured: number): Candidate => ({ ...unproven(measured), isNew: true });

  test('4 times as fast, both with few leases: a short round', () => {
    expect(plan(50, 1000, first(4), first(1))).toEqual([7, 7]);
    expect(plan(50, 1000, first(1), first(1))).toEqual([50, 50]);
  });

  test('4 times as fast, its limit still doubling: the other has a quarter of that', () => {
    expect(plan(50, 1000, { ...proven(4), limit: 26 }, { ...proven(1), limit: 26 })).toEqual([26, 7]);
    expect(plan(50, 1000, { ...proven(4), limit: 52 }, proven(1))).toEqual([52, 13]);
  });

  test('the other is at an audit: a part of the whole round, for nobody waits', () => {
    expect(plan(50, 1000, { ...first(4), limit: 26 }, { ...first(1), isBusy: true })).toEqual([26, 0]);
    expect(plan(50, 1000, proven(4), { ...proven(1), isBusy: true })).toEqual([80, 0]);
  });

  test('the other is at an audit, one lease is left: all of it', () => {
    expect(plan(50, 110, proven(1), { ...proven(1), isBusy: true })).toEqual([55, 0]);
    expect(plan(50, 55, proven(1), { ...proven(1), isBusy: true })).toEqual([55, 0]);
    expect(plan(50, 20, proven(4), { ...proven(1), isBusy: true })).toEqual([20, 0]);
    expect(plan(50, 20, first(1), first(1), { ...first(2), isBusy: true })).toEqual([10, 10, 0]);
    // In a round with the other it would do 20.
    expect(plan(50, 80, proven(1), { ...proven(4), isBusy: true })).toEqual([16, 0]);
  });

  test('one new among four known: they have their whole round', () => {
    expect(plan(50, 5000, ...[1, 1, 1, 1].map(proven), { ...first(1), limit: 26 })).toEqual([50, 50, 50, 50, 26]);
  });
});

test('any workers: all blocks in the end, no empty lease, no unproven one above', () => {
  const speed = fc.double({ min: 0.01, max: 1e6, noNaN: true });
  const candidate = fc.record({
    measured: fc.option(speed, { nil: undefined }),
    announced: speed,
    limit: fc.integer({ min: 1, max: 100 }),
    isProven: fc.boolean(),
  });
  const some = fc.array(candidate, { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(some, fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 300 }), (all, steps, blocks) => {
      const given = candidates(...all);
      let left = blocks;
      for (let round = 0; left > 0; round++) {
        const planned = planRound(given, steps, left);
        const parts = [...planned.values()].sort((a, b) => a - b);
        const median = parts[Math.floor((parts.length - 1) / 2)]!;
        expect(parts[0]).toBeGreaterThan(0);
        expect(sum(parts)).toBeLessThanOrEqual(left);
        for (const [worker, part] of planned) {
          const { isProven, limit } = given.get(worker)!;
          expect(part).toBeLessThanOrEqual(limit);
          if (isProven || planned.size === 1) continue;
          expect(part).toBeLessThanOrEqual(Math.max(1, Math.min(sum(parts) - part + 1, 2 * median)));
        }
        left -= sum(parts);
        expect(round).toBeLessThan(blocks + 1);
      }
    }),
  );
});

describe('worker that is free while others are at a round', () => {
  const round = { parts: [50, 50], leftMs: 10_000, steps: 50, availableBlocks: 1000 };

  test('known speed: what it does in most of the time that is left', () => {
    expect(planLate(proven(4), round)).toBe(38);
    expect(planLate(proven(100), { ...round, parts: [50] })).toBe(950);
  });

  test('too little time, or speed unknown: nothing', () => {
    expect(planLate(proven(4), { ...round, leftMs: 2000 })).toBe(0);
    expect(planLate(fresh(1e12), round)).toBe(0);
  });

  test('fewer blocks are left than it would do: those', () => {
    expect(planLate(proven(4), { ...round, availableBlocks: 7 })).toBe(7);
  });

  test('not proven: its limit, twice the median and half of the round bind it', () => {
    expect(planLate(unproven(100), { ...round, parts: [13, 50, 60] })).toBe(100);
    expect(planLate(unproven(100), { ...round, parts: [50] })).toBe(50);
    expect(planLate({ ...unproven(100), limit: 26 }, round)).toBe(26);
  });
});
