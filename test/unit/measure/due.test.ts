/** When a worker is measured again. */
import { Address } from '../../../src/domain/ids';
import type { Measurement } from '../../../src/domain/power';
import { isDue, restAfter } from '../../../src/measure/due';

const DAY_MS = 24 * 3_600_000;
const worker = Address.parse(`0x${'1'.repeat(40)}`);
const one = (source: Measurement['source'], gflops: number, atMs: number, isOk = true): Measurement => ({
  worker,
  atMs,
  source,
  shape: 'S',
  gflops,
  isOk,
});
const rounds = (...speeds: number[]) => speeds.map((gflops, i) => one('round', gflops, i + 1));

test.each<[string, Measurement[], number, boolean]>([
  ['never measured', [], 0, true],
  ['only rounds', rounds(1, 1, 1), 9, true],
  ['a good probe', [one('probe', 10, 0)], 7 * DAY_MS, false],
  ['an old probe', [one('probe', 10, 0)], 7 * DAY_MS + 1, true],
  ['a bad probe', [one('probe', 0, 0, false)], 1, true],
  ['rounds that agree', [one('probe', 10, 0), ...rounds(7, 10, 13)], 9, false],
  ['one round of three that disagrees', [one('probe', 10, 0), ...rounds(10, 10, 90)], 9, false],
  ['rounds that are slower', [one('probe', 10, 0), ...rounds(6, 6, 10)], 9, true],
  ['rounds that are faster', [one('probe', 10, 0), ...rounds(14, 14, 10)], 9, true],
  ['two rounds', [one('probe', 10, 0), ...rounds(90, 90)], 9, false],
  ['rounds before the probe', [...rounds(90, 90, 90), one('probe', 10, 5)], 9, false],
])('%s: due or not', (_name, measurements, nowMs, due) => {
  expect(isDue(measurements, nowMs)).toBe(due);
});

test.each([
  [1000, 600_000],
  [20_000, 2_000_000],
])('probe of %d ms: a rest of %d ms', (tookMs, restMs) => {
  expect(restAfter(tookMs)).toBe(restMs);
});
