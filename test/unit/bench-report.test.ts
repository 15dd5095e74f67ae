/** How benchmarks judge and show their rows. */
import { isMet, median, rowOf, tableOf } from '../../scripts/bench/report';

const row = (bar: string, ours: number, theirs: number, ratio?: number) =>
  rowOf({ name: 'link ÷ copy', bar, ours, theirs, unit: 'MB/s', ...(ratio === undefined ? {} : { ratio }) });

test.each([
  ['≥ 0.97', 97, 100, true],
  ['≥ 0.97', 96, 100, false],
  ['≤ 2.5', 250, 100, true],
  ['≤ 2.5', 251, 100, false],
  ['≤ 1/30', 1, 30, true],
  ['≤ 1/30', 1, 29, false],
  ['', 1, 100, true],
])('bar "%s" with %d and %d: is met is %s', (bar, ours, theirs, expected) => {
  expect(isMet(row(bar, ours, theirs))).toBe(expected);
});

test('ratio of pairs: counts instead of ours ÷ theirs', () => {
  expect(row('', 1, 4).ratio).toBe(0.25);
  expect(isMet(row('≥ 0.5', 1, 4, 0.6))).toBe(true);
});

test('bar that says nothing: is refused', () => {
  expect(() => row('about 1', 1, 1)).toThrow(/bar/);
});

test('table: a missed bar is bold, a small ratio a fraction', () => {
  const [, , ...lines] = tableOf([row('≥ 0.9', 310, 500), row('≤ 1/100', 922_800, 252_828_568)]).split('\n');
  expect(lines).toEqual([
    '| link ÷ copy | ≥ 0.9 | **0.62** | 310 | 500 | MB/s |',
    '| link ÷ copy | ≤ 1/100 | 1/274 | 922,800 | 252,828,568 | MB/s |',
  ]);
});

test('median of an even number: the lower of the two in the middle', () => {
  expect(median([4, 1, 3, 2])).toBe(2);
});
