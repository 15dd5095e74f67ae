/** What an update must be to count. */
import {
  areTwins,
  judgeUse,
  leastNorm,
  looksScaled,
  marginOf,
  median,
  type UpdateFacts,
} from '../../../src/domain/update-rules';

const update = (norm: number, blocks = 50): UpdateFacts => ({ norm, blocks, rates: 0.001 * blocks });
const accepted = [update(1), update(2), update(9)];

test('median: the middle value, or the mean of the two', () => {
  expect(median([9, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 9])).toBe(3);
});

test('least norm before three updates: a tenth of one step of all weights', () => {
  expect(leastNorm(update(0), accepted.slice(1), 1e6)).toBeCloseTo(0.1 * 0.001 * 1000);
});

test('least norm after three updates: a thousandth of their median', () => {
  expect(leastNorm(update(0), accepted, 1e6)).toBeCloseTo(0.002);
});

test('least norm of a lease whose rates are 0: nothing', () => {
  expect(leastNorm({ norm: 0, blocks: 1, rates: 0 }, accepted, 1e6)).toBe(0);
});

test.each([
  [1, false],
  [0.4, true],
  [0.6, false],
  [1.9, false],
  [3, true],
])('update %d times as long as comparable ones: scaled %s', (factor, expected) => {
  expect(looksScaled(update(2 * factor), [update(2), update(2), update(2)])).toBe(expected);
});

test('only updates of other sizes are known: nothing looks scaled', () => {
  expect(looksScaled(update(100, 10), accepted)).toBe(false);
});

test.each([
  [0.9991, true],
  [0.998, false],
  [-1, false],
])('cosine %d: twins %s', (cosine, expected) => {
  expect(areTwins(cosine)).toBe(expected);
});

test.each<[string, number, number[], number]>([
  ['none to compare with', -0.1, [], -0.1],
  ['others gain far more', 0.01, [0.3, 0.5], -0.03],
  ['others gain nothing either', 0.001, [0.004], 0.001],
])('margin, %s: a tenth of their median is due at most', (_others, gain, others, margin) => {
  expect(marginOf(gain, others)).toBeCloseTo(margin);
});

describe('judgeUse', () => {
  const job = [0.2, 0.2, 0.2];
  const flat = [0.001, -0.001, 0.002];
  test.each<[string, number[], number[], ReturnType<typeof judgeUse>]>([
    ['a first gain', [0.1], [], 'useful'],
    ['a first loss', [-0.1], [], 'useless'],
    ['no change at all', [0], [], 'useless'],
    ['a loss among gains', [0.1, 0.2, -0.1], job, 'doubtful'],
    ['two losses of three', [0.5, 0.5, -0.1, -0.1, 0.1], job, 'useless'],
    ['a loss where the job gains nothing', [-0.001], flat, 'doubtful'],
    ['losses where the job gains a hundredth', [-0.019, -0.019, -0.019], [0.02, 0.015, 0.01], 'doubtful'],
    ['a loss where the job gained nothing long ago', [-0.001], [...flat, ...flat, ...job, ...job, ...job], 'useless'],
  ])('%s: judged accordingly', (_gains, own, accepted, expected) => {
    expect(judgeUse(own, accepted)).toBe(expected);
  });
});
