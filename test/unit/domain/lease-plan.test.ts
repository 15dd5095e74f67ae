/** How a round is shared out by speed. */
import fc from 'fast-check';
import { Address } from '../../../src/domain/ids';
import { planLeases, smoothSpeed } from '../../../src/domain/lease-plan';

const address = (n: number) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);
const speeds = (...values: number[]) => new Map(values.map((speed, i) => [address(i + 1), speed]));
const sum = (plan: ReadonlyMap<Address, number>) => [...plan.values()].reduce((a, b) => a + b, 0);

describe('planLeases', () => {
  test('workers of any speed: blocks follow speed, H of them per worker on average', () => {
    expect(planLeases(speeds(1, 1), 50, 1000)).toEqual(
      new Map([
        [address(1), 50],
        [address(2), 50],
      ]),
    );
    expect(planLeases(speeds(4, 1), 50, 1000)).toEqual(
      new Map([
        [address(1), 80],
        [address(2), 20],
      ]),
    );
  });

  test('little is left: the last round is no stub', () => {
    expect(sum(planLeases(speeds(1, 1), 50, 110))).toBe(110);
    expect(sum(planLeases(speeds(1, 1), 50, 160))).toBe(80);
  });

  test('no worker or no block: nothing is planned', () => {
    expect(planLeases(new Map(), 50, 100).size).toBe(0);
    expect(planLeases(speeds(1), 50, 0).size).toBe(0);
  });

  test('any speeds: rounds use up every block and leave no empty lease', () => {
    const someSpeeds = fc.array(fc.double({ min: 0.01, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(
        someSpeeds,
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 5000 }),
        (v, steps, blocks) => {
          let left = blocks;
          for (let round = 0; left > 0; round++) {
            const plan = planLeases(speeds(...v), steps, left);
            expect(Math.min(...plan.values())).toBeGreaterThan(0);
            expect(sum(plan)).toBeLessThanOrEqual(left);
            left -= sum(plan);
            expect(round).toBeLessThan(blocks + 1);
          }
        },
      ),
    );
  });
});

test('smoothSpeed, a change of speed: half of it shows at once', () => {
  expect(smoothSpeed(undefined, 10)).toBe(10);
  expect(smoothSpeed(10, 20)).toBe(15);
});
