/** What a base is, by its files: facts of good ones, and the reasons for which others are refused. */
import fc from 'fast-check';
import { flawError } from '../../../src/blobs/base-errors';
import { type BaseFacts, readBaseFacts } from '../../../src/blobs/base-facts';
import {
  type BaseFiles,
  rawTensorFile,
  type Tensors,
  TINY_PARAMETERS,
  tensorFile,
  tinyBase,
  tinyConfig,
  tinyTensors,
} from '../../support/tiny-base';

/** Reads the facts of these files, and how many bytes that took. */
async function read(files: BaseFiles): Promise<BaseFacts & { readBytes: number }> {
  let readBytes = 0;
  const facts = await readBaseFacts({
    base: 'hf:tiny/base',
    files: Object.entries(files).map(([name, { length: bytes }]) => ({ name, bytes })),
    async read(name, start, length) {
      const piece = files[name]?.subarray(start, start + length);
      if (piece?.length !== length) throw Object.assign(new Error(`${name} ends`), { code: 'test/short' });
      readBytes += length;
      return piece;
    },
  });
  return { ...facts, readBytes };
}

const config = (changes: object) => JSON.stringify({ ...tinyConfig, ...changes });
const manyTensors = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`${i}`, { dtype: 'F32', shape: [0], data_offsets: [0, 0] }]),
  );
const gpt2: Tensors = {
  'transformer.wte.weight': ['F16', 64, 16],
  'transformer.wpe.weight': ['F16', 32, 16],
  'transformer.h.0.attn.bias': ['U8', 1, 1, 32, 32],
  'transformer.h.0.attn.masked_bias': ['F32'],
  'transformer.h.0.attn.c_attn.weight': ['F16', 16, 48],
  'lm_head.weight': ['F16', 64, 16],
};
const gpt2Config = JSON.stringify({
  architectures: ['GPT2LMHeadModel'],
  model_type: 'gpt2',
  n_layer: 1,
  n_embd: 16,
  n_head: 2,
  n_positions: 32,
  vocab_size: 64,
});

test('small Llama: its facts, read from its heads', async () => {
  const { tensors, ...facts } = await read(tinyBase());
  const bytes = Object.values(tinyBase()).reduce((sum, { length }) => sum + length, 0);
  expect(facts).toMatchObject({
    architecture: 'LlamaForCausalLM',
    parameters: TINY_PARAMETERS,
    baseBytes: bytes,
    dtypes: ['F32'],
    layers: 2,
    width: 16,
    vocabSize: 64,
    context: 32,
    licence: 'apache-2.0',
    hasChatTemplate: true,
    tokenizer: 'tokenizer.json',
  });
  expect(tensors).toContainEqual({ name: 'model.layers.1.mlp.up_proj.weight', dtype: 'F32', shape: [32, 16] });
});

test('old GPT-2: mask buffers are no weights, and its output layer is its embedding', async () => {
  const { tensors, ...facts } = await read(
    tinyBase({ 'config.json': gpt2Config, 'model.safetensors': tensorFile(gpt2) }),
  );
  expect(facts).toMatchObject({ parameters: 64 * 16 + 32 * 16 + 16 * 48, dtypes: ['F16'], layers: 1, context: 32 });
  expect(tensors.map(({ name }) => name)).not.toContain('transformer.h.0.attn.bias');
});

test('output layer of its own: counted', async () => {
  const files = tinyBase({
    'config.json': config({ tie_word_embeddings: false }),
    'model.safetensors': tensorFile({ ...tinyTensors, 'lm_head.weight': ['F32', 64, 16] }),
  });
  expect((await read(files)).parameters).toBe(TINY_PARAMETERS + 64 * 16);
});

test('output layer that is the embedding: counted once, under whichever name', async () => {
  const { 'model.embed_tokens.weight': embedding, ...rest } = tinyTensors;
  const head = { 'lm_head.weight': embedding as Tensors[string] };
  for (const tensors of [
    { ...rest, ...head },
    { ...tinyTensors, ...head },
  ]) {
    const facts = await read(tinyBase({ 'model.safetensors': tensorFile(tensors) }));
    expect(facts.parameters).toBe(TINY_PARAMETERS);
  }
});

test('weights of a gigabyte: only their head is read', async () => {
  const size = 2 ** 28;
  const head = rawTensorFile({ big: { dtype: 'F32', shape: [size], data_offsets: [0, 4 * size] } }, 0);
  const facts = readBaseFacts({
    base: 'x',
    files: [
      { name: 'config.json', bytes: config({}).length },
      { name: 'model.safetensors', bytes: head.length + 4 * size },
    ],
    async read(name, start, length) {
      if (name === 'config.json') return Buffer.from(config({}));
      expect(start + length).toBeLessThanOrEqual(2 ** 17);
      return Buffer.concat([head, Buffer.alloc(length)]).subarray(start, start + length);
    },
  });
  await expect(facts).rejects.toThrow(/no embedding/);
});

describe('weights in parts', () => {
  const [embedding, ...rest] = Object.keys(tinyTensors);
  const part = (names: readonly string[]) =>
    tensorFile(Object.fromEntries(names.map((name) => [name, tinyTensors[name] as Tensors[string]])));
  const first = 'model-00001-of-00002.safetensors';
  const second = 'model-00002-of-00002.safetensors';
  const places = { [embedding as string]: first, ...Object.fromEntries(rest.map((name) => [name, second])) };
  const inParts = (weightMap: unknown) =>
    tinyBase({
      'model.safetensors': undefined,
      'model.safetensors.index.json': JSON.stringify({ weight_map: weightMap }),
      [first]: part([embedding as string]),
      [second]: part(rest),
    });

  test('index of more tensors than any model has: refused before a part is read', async () => {
    const index = Object.fromEntries(
      Array.from({ length: 10_001 }, (_, i) => [`${i}`, 'model-00003-of-00003.safetensors']),
    );
    await expect(read(inParts(index))).rejects.toThrow(/10001 tensors/);
  });

  test('index that fits: the same facts as in one file', async () => {
    expect(await read(inParts(places))).toMatchObject({ parameters: TINY_PARAMETERS, layers: 2 });
  });

  test.each([
    ['no index', undefined],
    ['an empty one', {}],
    ['a part that is not there', { ...places, x: 'model-00003-of-00003.safetensors' }],
    ['a tensor that lies elsewhere', { ...places, [embedding as string]: second }],
    ['a way out', { ...places, x: '../model.safetensors' }],
  ])('%s: base/bad-weights', async (_what, weightMap) => {
    await expect(read(inParts(weightMap))).rejects.toMatchObject({ code: 'base/bad-weights' });
  });
});

describe('bases that cannot be trained', () => {
  const withTensors = (changes: Record<string, unknown>) => {
    const tensors = Object.entries({ ...tinyTensors, ...changes }).filter(([, one]) => one !== undefined);
    return { 'model.safetensors': tensorFile(Object.fromEntries(tensors) as Tensors) };
  };
  test.each<[code: string, what: string, changes: Parameters<typeof tinyBase>[0]]>([
    ['bad-config', 'no JSON', { 'config.json': 'hello' }],
    ['bad-config', 'a list', { 'config.json': '[]' }],
    ['bad-config', 'no layers', { 'config.json': config({ num_hidden_layers: undefined }) }],
    ['bad-config', 'a width of 1e300', { 'config.json': config({ hidden_size: 1e300 }) }],
    ['bad-config', 'none', { 'config.json': undefined }],
    ['remote-code', 'auto_map', { 'config.json': config({ auto_map: { AutoModel: 'modeling_x.X' } }) }],
    ['quantised', 'quantization_config', { 'config.json': config({ quantization_config: { bits: 4 } }) }],
    ['quantised', 'weights of 8 bits', withTensors({ 'model.norm.weight': ['I8', 16] })],
    ['architecture', 'another class', { 'config.json': config({ architectures: ['T5ForConditionalGeneration'] }) }],
    ['architecture', 'class and type apart', { 'config.json': config({ model_type: 'gpt2' }) }],
    ['architecture', 'two classes', { 'config.json': config({ architectures: ['LlamaModel'], model_type: 'bert' }) }],
    ['bad-weights', 'an embedding of another size', { 'config.json': config({ vocab_size: 65 }) }],
    ['bad-weights', 'another width', { 'config.json': config({ hidden_size: 32 }) }],
    ['bad-weights', 'a layer less', { 'config.json': config({ num_hidden_layers: 3 }) }],
    ['bad-weights', 'a layer more', { 'config.json': config({ num_hidden_layers: 1 }) }],
    ['bad-weights', 'no output layer', { 'config.json': config({ tie_word_embeddings: undefined }) }],
    ['bad-weights', 'weights of 64 bits', withTensors({ 'model.norm.weight': ['F64', 16] })],
    ['bad-weights', 'no embedding', withTensors({ 'model.embed_tokens.weight': undefined })],
  ])('%s: %s', async (code, _what, changes) => {
    await expect(read(tinyBase(changes))).rejects.toMatchObject({ code: `base/${code}` });
  });

  const tensor = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  const length = (bytes: bigint) => {
    const head = Buffer.alloc(16);
    head.writeBigUInt64LE(bytes);
    return head;
  };
  test.each<[why: RegExp, what: string, file: Buffer]>([
    [/too short/, 'nothing', Buffer.from('x')],
    [/claims 9 bytes/, 'a head longer than the file', length(9n)],
    [/claims 9223372036854775808 bytes/, 'a head of 2⁶³ bytes', length(2n ** 63n)],
    [/not JSON/, 'a head that is no JSON', Buffer.concat([length(8n).subarray(0, 8), Buffer.from('{"a": 12')])],
    [/not JSON/, 'a list', rawTensorFile([], 0)],
    [/not described/, 'no tensor', rawTensorFile({ a: 1 }, 0)],
    [/not described/, 'an unknown type', rawTensorFile({ a: { ...tensor, dtype: 'F31' } }, 8)],
    [/not described/, 'something besides', rawTensorFile({ a: { ...tensor, more: 1 } }, 8)],
    [/not described/, 'a shape below 0', rawTensorFile({ a: { ...tensor, shape: [-2] } }, 8)],
    [/has 8 bytes, and its shape 12/, 'a shape that lies', rawTensorFile({ a: { ...tensor, shape: [3] } }, 8)],
    [/begins at 8/, 'a hole before', rawTensorFile({ a: { ...tensor, data_offsets: [8, 16] } }, 16)],
    [/begins at 12/, 'a hole between', rawTensorFile({ a: tensor, b: { ...tensor, data_offsets: [12, 20] } }, 20)],
    [/begins at 0/, 'two in one place', rawTensorFile({ a: tensor, b: tensor }, 8)],
    [/have 8 bytes, and the file has room for 9/, 'bytes behind', rawTensorFile({ a: tensor }, 9)],
    [/have 8 bytes, and the file has room for 7/, 'a file that was cut', rawTensorFile({ a: tensor }, 7)],
    [/has 10001 tensors/, 'more tensors than any model has', rawTensorFile(manyTensors(10_001), 0)],
    [/name of 201 characters/, 'a name that is no name', rawTensorFile({ ['a'.repeat(201)]: tensor }, 8)],
  ])('broken head, %s: %s', async (why, _what, file) => {
    const reading = read(tinyBase({ 'model.safetensors': file }));
    await expect(reading).rejects.toMatchObject({ code: 'base/bad-weights' });
    await expect(reading).rejects.toThrow(why);
  });

  test('any byte of a head changed: facts or base/…, nothing else', async () => {
    const file = tinyBase()['model.safetensors'] as Buffer;
    const head = file.length - TINY_PARAMETERS * 4;
    await fc.assert(
      fc.asyncProperty(fc.nat(head - 1), fc.nat(255), async (at, byte) => {
        const changed = Buffer.from(file);
        changed[at] = byte;
        const outcome = await read(tinyBase({ 'model.safetensors': changed })).then(
          () => 'base/none',
          ({ code }) => code,
        );
        expect(outcome).toMatch(/^base\//);
      }),
    );
  });

  test('pickled weights: the sentence says how to convert them', () => {
    expect(flawError('pickled', 'hf:a/b').message).toMatch(/^The base model hf:a\/b has its weights.*save_pretrained/);
  });
});

test('licence: as the front matter of its README names it', async () => {
  const licences = await Promise.all(
    [
      '---\nlicense: other\nlicense_name: tongyi-qianwen\n---\n',
      '---\r\nlicense: "mit"\r\n---\r\n',
      'license: mit\n',
      '---\nlicense:\n- mit\n---\n',
      '---\nlicense: \u001b[31m\n---\n',
      undefined,
    ].map(async (readme) => (await read(tinyBase({ 'README.md': readme }))).licence),
  );
  expect(licences).toEqual(['tongyi-qianwen', 'mit', undefined, undefined, undefined, undefined]);
});
