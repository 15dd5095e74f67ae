/** Sizes of models: counted as the Python child counts them. */
import { sizeOfBase } from '../../../src/domain/base-size';
import { countParameters, modelSizeOf } from '../../../src/domain/model-size';

describe('countParameters', () => {
  // What `open_program(...).num_parameters` of the Python child says.
  test.each([
    ['gpt2', 4, 128, 128, 256, 842_496],
    ['gpt2', 12, 768, 1024, 50_257, 124_439_808],
    ['gpt2', 1, 16, 16, 300, 8_368],
    ['llama', 4, 128, 128, 256, 836_736],
    ['llama', 6, 384, 256, 4096, 12_194_688],
  ] as const)(
    '%s of %i × %i, context %i, %i tokens: as Python counts',
    (family, layers, width, context, vocab, count) => {
      expect(countParameters({ family, layers, width, context }, vocab)).toBe(count);
    },
  );
});

/** GPT-2's blocks, as its file names them. */
const gpt2 = {
  parameters: 1000,
  baseBytes: 4096,
  layers: 2,
  width: 32,
  tensors: [
    { name: 'wte.weight', shape: [260, 32] },
    { name: 'wpe.weight', shape: [64, 32] },
    ...[0, 1].flatMap((i) => [
      { name: `h.${i}.ln_1.weight`, shape: [32] },
      { name: `h.${i}.attn.c_attn.weight`, shape: [32, 96] },
      { name: `h.${i}.attn.c_attn.bias`, shape: [96] },
      { name: `h.${i}.attn.c_proj.weight`, shape: [32, 32] },
      { name: `h.${i}.mlp.c_fc.weight`, shape: [32, 128] },
      { name: `h.${i}.mlp.c_proj.weight`, shape: [128, 32] },
    ]),
  ],
};

describe('sizeOfBase', () => {
  test('full: every number is trained', () => {
    expect(sizeOfBase(gpt2, { tune: 'full' })).toEqual({
      parameters: 1000,
      trainable: 1000,
      baseBytes: 4096,
      layers: 2,
      width: 32,
      // One and a half times the MLP's width.
      hidden: 192,
    });
  });

  test('lora, auto: rank × (in + out) of the attention of each block, beside the base', () => {
    const trainable = 2 * 4 * (32 + 96 + 32 + 32);
    const lora = { r: 4, targets: 'auto' } as const;
    expect(sizeOfBase(gpt2, { tune: 'lora', lora })).toMatchObject({ trainable, parameters: 1000 + trainable });
  });

  test.each([
    [['c_proj'], 2 * (64 + 160)],
    [['attn.c_proj'], 2 * 64],
    [['h.1.mlp.c_fc', 'c_attn'], 160 + 2 * 128],
  ])('lora, targets %j: the layers whose names end so', (targets, ends) => {
    expect(sizeOfBase(gpt2, { tune: 'lora', lora: { r: 8, targets } }).trainable).toBe(8 * ends);
  });
});

test.each(['wte', 'q_proj', 'proj'])(
  'lora, target %s that no layer has: refused, with those that there are',
  (target) => {
    const lora = { r: 8, targets: ['c_fc', target] };
    const attempt = () => sizeOfBase(gpt2, { tune: 'lora', lora });
    expect(attempt).toThrow(`is called ${target} (lora.targets); there are c_attn, c_fc, c_proj.`);
  },
);

test('modelSizeOf: context and recomputing are the job’s, all else is the base’s', () => {
  const base = sizeOfBase(gpt2, { tune: 'full' });
  const params = { tune: 'full', model: { context: 48 }, gradientCheckpointing: true } as const;
  const size = { ...base, context: 48, vocabSize: 260, recomputes: true };
  expect(modelSizeOf({ ...params, inner: { optimiser: 'adamw' } }, 260, base)).toEqual({ ...size, byMuon: 0 });
  const tiny = modelSizeOf({ ...params, inner: { optimiser: 'muon' } }, 16, base);
  expect(tiny).toEqual({ ...size, vocabSize: 16, byMuon: base.trainable - 16 * base.width });
});
