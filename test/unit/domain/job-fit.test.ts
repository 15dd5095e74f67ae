/** Whether a job is taken, in which order, and with which workers. */
import fc from 'fast-check';
import { sizeOfBase } from '../../../src/domain/base-size';
import { JobId } from '../../../src/domain/ids';
import {
  byFee,
  capacityFor,
  chooseWorkers,
  estimateTokens,
  expectedPayWei,
  expectTokens,
  memoryBytesOf,
  neededBytesOf,
  needsSharing,
  nodeBytesOf,
  refuseByBox,
  refuseJob,
  vocabularyOf,
  withMemory,
  workOf,
} from '../../../src/domain/job-fit';
import { modelSizeOf, sizeFromScratch } from '../../../src/domain/model-size';

const EMT = 10n ** 18n;
const work = { tokens: 1_000_000, parameters: 1_000_000 }; // 6e12 FLOP: 12 s at 1000 GFLOP/s and half efficiency
const fees = { minFeeWei: 10n * EMT, maxFeeWei: 30n * EMT };
const job = { feeWei: 20n * EMT, fuelLimit: 1_000_000n, deadlineMs: 200_000 };

describe('refuseJob', () => {
  test('in the fee range, enough capacity: not refused', () => {
    expect(refuseJob(job, work, fees, { gflops: 1000 }, 0)).toBeUndefined();
  });
  test('fee out of range: refused, too low or too high', () => {
    expect(refuseJob({ ...job, feeWei: 9n * EMT }, work, fees, { gflops: 1000 }, 0)?.code).toBe('job/fee-too-low');
    expect(refuseJob({ ...job, feeWei: 31n * EMT }, work, fees, { gflops: 1000 }, 0)?.code).toBe('job/fee-too-high');
  });
  test('high fuel limit, little work: refused for its low pay', () => {
    const bait = { ...job, fuelLimit: 4_000_000n };
    expect(expectedPayWei(bait, work.tokens)).toBe(5n * EMT);
    expect(refuseJob(bait, work, fees, { gflops: 1000 }, 0)?.code).toBe('job/fee-too-low');
  });
  test('deadline too near for the capacity: refused', () => {
    expect(refuseJob(job, work, fees, { gflops: 1000 }, 199_000)?.code).toBe('job/not-enough-capacity');
    expect(refuseJob(job, work, fees, { gflops: 50 }, 0)?.code).toBe('job/not-enough-capacity');
    expect(refuseJob(job, work, fees, { gflops: 1000 }, 200_000)?.code).toBe('job/deadline-passed');
  });
  test('no workers: refused for want of capacity', () => {
    expect(refuseJob(job, work, fees, { gflops: 0 }, 0)?.code).toBe('job/not-enough-capacity');
  });
});

describe('memory', () => {
  const size = sizeFromScratch({ family: 'gpt2', layers: 12, width: 768, context: 1024 }, 50257);
  const needed = memoryBytesOf(size);

  test('some workers are too small: only the others count', () => {
    const workers = [
      { gflops: 10, memoryBytes: needed, devices: 1 },
      { gflops: 90, memoryBytes: needed - 1, devices: 1 },
    ];
    expect(withMemory(workers, size)).toEqual([workers[0]]);
    expect(withMemory(workers, undefined)).toEqual(workers);
    expect(capacityFor(workers, size)).toEqual({ gflops: 10, lackingBytes: undefined });
  });

  test('every worker is too small: refused for that', () => {
    const capacity = capacityFor([{ gflops: 1e6, memoryBytes: 1e6, devices: 1 }], size);
    expect(refuseJob(job, work, fees, capacity, 0)).toEqual({ code: 'job/not-enough-memory', neededBytes: needed });
  });

  test('model too large for each of eight devices: they share it', () => {
    const shape = { family: 'llama', layers: 32, width: 4096, context: 2048 } as const;
    const large = { ...sizeFromScratch(shape, 32_000), recomputes: true };
    const box = { memoryBytes: 24 * 2 ** 30, devices: 8 };
    expect(needsSharing(large, box)).toBe(true);
    expect(neededBytesOf(large, box)).toBeLessThan(box.memoryBytes);
    expect(withMemory([box, { ...box, devices: 1 }, { ...box, devices: 3 }], large)).toEqual([box]);
    expect(8 * memoryBytesOf(large, 8)).toBeGreaterThan(memoryBytesOf(large));
  });

  test('model that fits each device: none of them shares it', () => {
    const box = { memoryBytes: needed, devices: 8 };
    expect(needsSharing(size, box)).toBe(false);
    expect(neededBytesOf(size, box)).toBe(needed);
  });
});

describe('chooseWorkers', () => {
  const idle = [{ gflops: 10 }, { gflops: 30 }, { gflops: 20 }];
  const options = { cooperative: 'nvm' as const, work, leftMs: 1_000_000, othersWaiting: false };

  test('nvm, no other job: all of them, fastest first', () => {
    expect(chooseWorkers(idle, options).map((w) => w.gflops)).toEqual([30, 20, 10]);
  });
  test('1v1: the fastest alone', () => {
    expect(chooseWorkers(idle, { ...options, cooperative: '1v1' }).map((w) => w.gflops)).toEqual([30]);
  });
  test('nvm, others wait: as many as the deadline needs', () => {
    expect(chooseWorkers(idle, { ...options, othersWaiting: true }).length).toBe(1);
    expect(chooseWorkers(idle, { ...options, othersWaiting: true, leftMs: 330_000 }).length).toBe(2);
  });
});

describe('memoryBytesOf', () => {
  /** A base as `python/bench/memory.py` makes it: GPT-2, or Llama with an MLP of three times its width. */
  function measuredBase(family: string, layers: number, width: number, vocabulary: number, dtype: string) {
    const [attention, mlp]: [[string, number, number][], [string, number, number][]] =
      family === 'gpt2'
        ? [
            [
              ['c_attn', width, 3 * width],
              ['c_proj', width, width],
            ],
            [
              ['c_fc', width, 4 * width],
              ['c_proj', 4 * width, width],
            ],
          ]
        : [
            ['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((name) => [name, width, width]),
            ['gate_proj', 'up_proj', 'down_proj'].map((name) => [name, 3 * width, width]),
          ];
    const place = (part: string, all: [string, number, number][]) =>
      all.map(([name, out, from]) => ({ name: `layers.0.${part}.${name}.weight`, shape: [out, from] }));
    const one = [...place('attn', attention), ...place('mlp', mlp)];
    const tensors = Array.from({ length: layers }, (_, i) =>
      one.map(({ name, shape }) => ({ name: name.replace('.0.', `.${i}.`), shape })),
    ).flat();
    const inBlocks = tensors.reduce((sum, { shape: [out = 0, from = 0] }) => sum + out * from, 0);
    const parameters = inBlocks + (family === 'gpt2' ? 1 : 2) * vocabulary * width;
    return { parameters, baseBytes: parameters * (dtype === 'bfloat16' ? 2 : 4), layers, width, tensors };
  }

  // How far the Python child grew in two steps of one sequence, in bytes: `python/bench/memory.py`.
  test.each([
    ['none', 'gpt2', 4, 128, 128, 256, false, 'float32', 'adamw', 15_912_960],
    ['none', 'gpt2', 6, 384, 256, 256, false, 'float32', 'adamw', 203_042_816],
    ['none', 'gpt2', 4, 512, 1024, 4_096, false, 'float32', 'adamw', 414_842_880],
    ['none', 'gpt2', 2, 256, 2048, 4_096, false, 'float32', 'adamw', 206_499_840],
    ['none', 'gpt2', 2, 256, 256, 32_768, false, 'float32', 'adamw', 236_994_560],
    ['none', 'gpt2', 12, 256, 1024, 256, false, 'float32', 'adamw', 369_004_544],
    ['none', 'llama', 6, 384, 256, 4_096, false, 'float32', 'adamw', 261_664_768],
    ['none', 'llama', 8, 256, 1024, 256, false, 'float32', 'adamw', 338_739_200],
    ['full', 'gpt2', 6, 384, 512, 32_768, false, 'float32', 'adamw', 505_761_792],
    ['lora', 'gpt2', 12, 384, 512, 32_768, false, 'float32', 'adamw', 420_147_200],
    ['lora', 'gpt2', 12, 384, 512, 32_768, true, 'float32', 'adamw', 213_618_688],
    ['lora', 'llama', 12, 512, 512, 32_768, false, 'bfloat16', 'adamw', 728_850_432],
    ['none', 'gpt2', 12, 256, 1024, 256, true, 'float32', 'adamw', 177_557_504],
    ['full', 'llama', 8, 256, 1024, 32_768, true, 'float32', 'adamw', 385_118_208],
    ['none', 'gpt2', 4, 128, 128, 256, false, 'float32', 'muon', 24_252_416],
    ['none', 'gpt2', 6, 384, 256, 256, false, 'float32', 'muon', 227_909_632],
  ] as const)(
    '%s %s %i × %i, context %i, %i tokens, recomputing %s, %s, %s: near the truth',
    (tune, family, layers, width, context, vocabulary, recomputes, dtype, optimiser, measured) => {
      const base = measuredBase(family, layers, width, vocabulary, dtype);
      const lora = { r: 8, targets: 'auto' } as const;
      const size = tune === 'none' ? undefined : sizeOfBase(base, { tune, lora });
      const inner = { optimiser };
      const asked = { gradientCheckpointing: recomputes, model: { family, layers, width, context }, tune, inner };
      const ratio = memoryBytesOf(modelSizeOf(asked, vocabulary, size)) / measured;
      expect(ratio).toBeGreaterThan(0.8);
      expect(ratio).toBeLessThan(1.3);
    },
  );
});

describe('nodeBytesOf', () => {
  /** Bytes of a number, with its part of a scale. */
  const INT8 = 1 + 4 / 256;
  const size = { ...sizeFromScratch({ family: 'gpt2', layers: 1, width: 16, context: 16 }, 256), trainable: 201e6 };
  const model = { ...size, parameters: 201e6 };

  test('model of 800 MB: some 6 GB of disk, however small its data', () => {
    const data = { bytes: 1e6, tokens: 2e6 };
    const { diskBytes, memoryBytes } = nodeBytesOf({ codec: 'int8', epochs: 2 }, data, model);
    expect(diskBytes).toBe(Math.ceil(1e6 + 3e6 + (28 + 2 * INT8) * 201e6));
    expect(memoryBytes).toBe(8 * 201e6);
  });

  test('wider tokens and codec: more', () => {
    const bytes = (codec: 'int8' | 'fp32', vocabSize: number) =>
      nodeBytesOf({ codec, epochs: 1 }, { bytes: 0, tokens: 2e6 }, { ...model, vocabSize }).diskBytes;
    expect(bytes('int8', 512) - bytes('int8', 256)).toBe(4e6);
    expect(bytes('fp32', 256) - bytes('int8', 256)).toBeCloseTo((8 - 2 * INT8) * 201e6, 0);
  });

  test('adapter: the base once, files for the adapter alone', () => {
    const lora = { ...model, trainable: 1e6, baseBytes: 402e6 };
    const { diskBytes, memoryBytes } = nodeBytesOf({ codec: 'int8', epochs: 1 }, { bytes: 0, tokens: 0 }, lora);
    expect(diskBytes).toBe(402e6 + (28 + 2 * INT8) * 1e6);
    expect(memoryBytes).toBe(402e6 + 8 * 1e6);
  });

  test('refuseByBox: names what is too small', () => {
    const needed = { diskBytes: 10, memoryBytes: 5 };
    expect(refuseByBox(needed, { diskBytes: 10, memoryBytes: 5 })).toBeUndefined();
    expect(refuseByBox(needed, { diskBytes: -3, memoryBytes: 5 })).toMatchObject({ what: 'disk', roomBytes: 0 });
    expect(refuseByBox(needed, { diskBytes: 10, memoryBytes: 4 })).toMatchObject({ what: 'memory', roomBytes: 4 });
  });
});

describe('byFee', () => {
  const offer = (n: number, feeWei: bigint) => ({ id: JobId.parse(`0x${n.toString(16).padStart(32, '0')}`), feeWei });

  test('different fees: best paid first, whatever the number of digits', () => {
    const [poor, rich, middling] = [offer(1, 9n), offer(2, 10n ** 30n), offer(3, 1000n)];
    expect([poor, rich, middling].sort(byFee)).toEqual([rich, middling, poor]);
  });

  test('equal fees, any order: by id', () => {
    const offers = fc.shuffledSubarray([1, 2, 3, 4].map((n) => offer(n, 7n)));
    fc.assert(
      fc.property(offers, (some) => {
        const ids = [...some].sort(byFee).map(({ id }) => id);
        expect(ids).toEqual(some.map(({ id }) => id).sort());
      }),
    );
  });
});

describe('expectTokens', () => {
  const job = { epochs: 2, validation: 0.1, tokenizer: { type: 'base' as const }, data: { format: 'auto' } };

  test('packed data: as many as the requester counted, as far as they can be in there', () => {
    expect(expectTokens(1000, job, { fuelLimit: 20_000n })).toBe(20_000);
    expect(expectTokens(1000, job, { fuelLimit: 10n ** 12n })).toBe(400_000);
  });
  test('low fuel limit: no less work than the bytes come to', () => {
    expect(expectTokens(3500, job, { fuelLimit: 5n })).toBe(1800);
  });
  test('plain text in bytes: one for each, whatever the requester says', () => {
    const text = { ...job, tokenizer: { type: 'byte' as const }, data: { format: 'text' } };
    expect(expectTokens(1000, text, { fuelLimit: 20_000n })).toBe(1800);
  });
});

describe('workOf', () => {
  const model = sizeFromScratch({ family: 'gpt2', layers: 2, width: 64, context: 64 }, 256);
  const part = (changes: object) => workOf({ ...model, parameters: 3000, trainable: 3000, ...changes }, 7, 64);

  test('full: there and back for every weight; recomputing goes there twice', () => {
    expect(part({})).toEqual({ tokens: 7, parameters: 3000 });
    expect(part({ recomputes: true }).parameters).toBe(4000);
  });
  test('Muon: its work for each block beside', () => {
    expect(part({ byMuon: 1500 }).parameters).toBe(3000 + (2 * 64 * 1500) / 64);
  });
  test('adapter: no gradients of the base’s own weights', () => {
    expect(part({ trainable: 10 }).parameters).toBe(2000);
    expect(part({ trainable: 10, recomputes: true }).parameters).toBe(3000);
  });
});

test('estimates: they follow the shape of model and data', () => {
  expect(vocabularyOf({ type: 'byte' })).toBe(256);
  expect(vocabularyOf({ type: 'bpe', vocabSize: 512 })).toBe(512);
  expect(estimateTokens(1000, { epochs: 2, validation: 0.1, tokenizer: { type: 'byte' } })).toBe(1800);
  const bpe = { type: 'bpe', vocabSize: 512 } as const;
  expect(estimateTokens(3500, { epochs: 1, validation: 0.5, tokenizer: bpe })).toBe(500);
});
