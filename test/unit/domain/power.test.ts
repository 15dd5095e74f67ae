/** Which speed counts, given what was measured and announced. */
import { Address } from '../../../src/domain/ids';
import { gflopsInForce, type Measurement, measuredGflops, medianOf } from '../../../src/domain/power';

const worker = Address.parse(`0x${'1'.repeat(40)}`);
const one = (source: Measurement['source'], gflops: number, isOk = true): Measurement => ({
  worker,
  atMs: 0,
  source,
  shape: 'S',
  gflops,
  isOk,
});
const probes = (...speeds: number[]) => speeds.map((gflops) => one('probe', gflops));
const rounds = (...speeds: number[]) => speeds.map((gflops) => one('round', gflops));

test.each<[string, Measurement[], number | undefined]>([
  ['nothing', [], undefined],
  ['one probe', probes(10), 10],
  ['three probes', probes(10, 90, 20), 20],
  ['a round among three probes', [...probes(10, 20, 30), ...rounds(90)], 90],
  ['nine rounds, the oldest fast', rounds(900, 900, 900, 900, 900, 1, 1, 1, 1, 1, 1, 1, 1), 1],
  ['a bad probe behind good rounds', [...rounds(5, 5), one('probe', 0, false)], 0],
  ['a bad probe, then rounds', [one('probe', 0, false), ...rounds(5, 5)], 0],
  ['a bad probe, then a good one', [one('probe', 0, false), ...probes(7)], 7],
])('measured speed of %s: the weighted median of the last good ones', (_name, measurements, speed) => {
  expect(measuredGflops(measurements)).toBe(speed);
});

test.each([
  [50, 10, undefined, 11],
  [50, 49, undefined, 50],
  [50, 0, 100, 0],
  [50, undefined, 10, 30],
  [50, undefined, 100, 50],
  [50, undefined, undefined, 10],
])('announced %d, measured %p, peers %p: %d counts', (announced, measured, peers, speed) => {
  expect(gflopsInForce(announced, { measured, peers })).toBeCloseTo(speed, 9);
});

test('median of an even number of values: the lower middle one', () => {
  expect(medianOf([4, 1, 3, 2])).toBe(2);
});
