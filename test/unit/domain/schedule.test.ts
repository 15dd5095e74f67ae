/** The schedule of learning rates, as `python/tests/rounds/test_train.py` holds it. */
import { learningRate, roundWarmup, sumOfRates } from '../../../src/domain/schedule';

const inner = { lr: 1, minLrRatio: 0.1, warmup: 0.1 };

test('learning rate: rises linearly, then falls as half a cosine', () => {
  const rates = Array.from({ length: 1000 }, (_, position) => learningRate(inner, position, 1000));
  expect(rates[0]).toBeCloseTo(0.01);
  expect(rates[99]).toBeCloseTo(1, 4);
  expect(rates[999]).toBeCloseTo(0.1);
  expect(rates.slice(100)).toEqual([...rates.slice(100)].sort((a, b) => b - a));
});

test('rates of a round: lower in its first steps, at most a fifth of them', () => {
  expect(Array.from({ length: 10 }, (_, step) => roundWarmup(step, 10))).toEqual([0.5, ...Array(9).fill(1)]);
  expect(roundWarmup(0, 1)).toBe(1);
  expect(roundWarmup(0, 500)).toBe(0.1);
});

test('sum of a lease: every step at its rate', () => {
  const flat = { lr: 0.5, minLrRatio: 1, warmup: 0 };
  expect(sumOfRates(flat, { start: 3, end: 7 }, 100)).toBeCloseTo(2);
  expect(sumOfRates(flat, { start: 0, end: 10 }, 100)).toBeCloseTo(4.75);
});
