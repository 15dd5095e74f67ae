/** Bounds of a lease's blobs: what the job's shape gives, and a header. */
import { findOversized, mostTensorBytes, workerBytesOf } from '../../../src/domain/lease-bounds';
import { tinyParams } from '../../support/tiny-job';

const HEADER = 2 ** 20;
const job = { params: tinyParams, vocabSize: 256 };
/** 12 · width² for the one layer, its biases and norms, and an embedding of each token and position. */
const parameters = 12 * 16 ** 2 + (9 + 4) * 16 + (256 + 16 + 2) * 16;
const weights = 4 * parameters + HEADER;
/** Four blocks of four sequences of 17 tokens, with a byte for each of their 16 targets. */
const shard = 4 * 4 * (17 + 16) + HEADER;
const lease = { start: 0, end: 4, shard: { bytes: shard }, theta: { bytes: weights } };

test('blobs as large as the job allows: fit', () => {
  expect(findOversized(job, { ...lease, delta: { blob: { bytes: weights } } })).toBeUndefined();
});

test.each([
  ['shard', { shard: { bytes: shard + 1 } }],
  ['shard', { end: 3 }],
  ['weights', { theta: { bytes: weights + 1 } }],
  ['step', { delta: { blob: { bytes: weights + 1 } } }],
])('a byte too many: the %s is named', (what, changes) => {
  expect(findOversized(job, { ...lease, ...changes })?.what).toBe(what);
});

test.each([
  [256, 1],
  [257, 2],
  [65_536, 2],
  [65_537, 4],
])('vocabulary of %i: %i bytes a token', (vocabSize, tokenBytes) => {
  const bytes = 4 * 4 * (tokenBytes * 17 + 16) + HEADER;
  expect(findOversized({ ...job, vocabSize }, { ...lease, shard: { bytes } })).toBeUndefined();
  expect(findOversized({ ...job, vocabSize }, { ...lease, shard: { bytes: bytes + 1 } })?.what).toBe('shard');
});

test('room of a worker: five files of the model beside the memory of training', () => {
  const { diskBytes, memoryBytes } = workerBytesOf(job, { memoryBytes: 1e12, devices: 1 });
  expect(diskBytes).toBe(20 * parameters);
  expect(memoryBytes).toBeGreaterThan(16 * parameters);
  expect(mostTensorBytes(parameters)).toBe(weights);
});
