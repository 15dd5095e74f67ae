/** Which codec suits the links and speeds of a job's workers. */
import { chooseCodec, type MeasuredWorker } from '../../../src/domain/codec-choice';

const MBIT = 1e6 / 8;
/** 20 Mb/s up and 100 down; 100 GFLOP/s. */
const home: MeasuredWorker = { gflops: 100, upBytesPerSecond: 20 * MBIT, downBytesPerSecond: 100 * MBIT };
const lan: MeasuredWorker = { gflops: 100, upBytesPerSecond: 1e9, downBytesPerSecond: 1e9 };
const unknown: MeasuredWorker = { gflops: undefined, upBytesPerSecond: undefined, downBytesPerSecond: undefined };
/** A round of `seconds` on a worker of 100 GFLOP/s. */
const work = (numbers: number, seconds: number) => ({
  trainable: numbers,
  parameters: numbers,
  gflop: 100 * seconds,
});

test('fast links: int8, however short the round', () => {
  expect(chooseCodec([lan, lan], work(10e6, 5))).toEqual({
    codec: 'int8',
    why: 'transfers take 0.41 % of a round over the slowest link',
  });
});

test('home links: the thinner the longer int8 would take', () => {
  const chosen = [1000, 100, 60, 25, 1].map((seconds) => chooseCodec([lan, home], work(5e6, seconds)).codec);
  expect(chosen).toEqual(['int8', 'int8', 'int4', 'int2', 'int2']);
  expect(chooseCodec([home], work(5e6, 60)).why).toMatch(/transfers take 2\.0 % .* int8 would take 4\.1 %/);
});

test('only one way of a link known: the other counts as fast', () => {
  const half = { ...home, downBytesPerSecond: undefined };
  expect(chooseCodec([half], work(5e6, 100)).codec).toBe('int4');
});

test('speeds that differ: all of them together make the round', () => {
  const mixed = [home, { ...home, gflops: 900 }];
  expect(chooseCodec(mixed, work(5e6, 130)).codec).toBe('int2');
});

test.each([
  ['nothing is measured', [unknown], work(10e6, 1), 'measured'],
  ['no worker', [], work(10e6, 1), 'measured'],
  ['bad probe', [{ ...home, gflops: 0 }], work(10e6, 1), 'measured'],
  ['adapter', [home], { ...work(5e6, 1), parameters: 1e9 }, 'adapter'],
  ['small model', [home], work(800_000, 1), 'small'],
])('%s: int8', (_name, workers, round, why) => {
  expect(chooseCodec(workers, round)).toEqual({ codec: 'int8', why: expect.stringContaining(why) });
});
