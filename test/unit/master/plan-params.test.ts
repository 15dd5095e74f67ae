/** What a master makes of a request that leaves values open. */
import { modelSizeOf } from '../../../src/domain/model-size';
import { readJobParams } from '../../../src/master/params';
import { planParams } from '../../../src/master/plan-params';

const [up, down] = [2.5e6, 12.5e6];
const worker = {
  address: `0x${'11'.repeat(20)}` as never,
  gflops: 50,
  memoryBytes: 2 ** 40,
  devices: 1,
  measuredGflops: 50,
  upBytesPerSecond: up,
  downBytesPerSecond: down,
};
const settle = (asked: object, workers: readonly (typeof worker)[] = [worker, worker]) => {
  const params = readJobParams(JSON.stringify(asked), { batch: 8, epochs: 1 });
  const size = modelSizeOf(params, 256, undefined);
  return planParams(params, { size, blocks: 2000 }, { fleet: { idle: () => [...workers] }, cooperative: 'nvm' });
};
const model = { layers: 6, heads: 6, width: 384, context: 256 };
const inner = { optimiser: 'adamw' };

test('codec named: it stays, and nothing is said about it', () => {
  expect(settle({ codec: 'bf16' })).toMatchObject({ params: { codec: 'bf16', round: { steps: 50 } } });
  expect(settle({ codec: 'bf16' })).not.toHaveProperty('codecWhy');
});

test('codec auto over home links: thin enough for the rounds of this model, and why', () => {
  // 10.8M numbers: 133 GFLOP a block, so 133 s a round; int8 would travel for 5 s.
  expect(settle({ codec: 'auto', model, inner })).toMatchObject({
    params: { codec: 'int4' },
    codecWhy: expect.stringMatching(/int8 would take 4\.\d %/),
  });
  expect(settle({ codec: 'auto', model, inner, round: { steps: 500 } }).params.codec).toBe('int8');
});

test('codec auto, a worker too small for the job or not measured: int8', () => {
  const slow = { ...worker, upBytesPerSecond: 1000, memoryBytes: 1 };
  expect(settle({ codec: 'auto', model, inner, round: { steps: 500 } }, [worker, slow]).params.codec).toBe('int8');
  expect(settle({ codec: 'auto', model, inner }, []).codecWhy).toContain('measured');
});
