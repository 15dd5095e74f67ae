/** Files of a base: which of a directory are taken, and why a directory is none. */
import { pickBaseFiles } from '../../../src/domain/base-files';

const files = (...names: string[]) => names.map((name) => ({ name, bytes: 100 }));
const whole = ['config.json', 'model.safetensors', 'tokenizer.json'];
const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors', 'model.safetensors.index.json'];

test('repository of a hub: what training needs is taken, in order', () => {
  const more = [
    '.gitattributes',
    'README.md',
    'flax_model.msgpack',
    'modeling_x.py',
    'onnx/model.onnx',
    'pytorch_model.bin',
  ];
  const picked = pickBaseFiles(files(...more, ...whole.toReversed()));
  expect(picked).toEqual({
    names: ['README.md', ...whole],
    skipped: ['.gitattributes', 'flax_model.msgpack', 'modeling_x.py', 'onnx/model.onnx', 'pytorch_model.bin'],
    flaw: undefined,
  });
});

test('weights in parts: taken, unless the whole lies beside them', () => {
  const inParts = pickBaseFiles(files('config.json', 'tokenizer.json', ...shards));
  expect(inParts).toMatchObject({ names: ['config.json', ...shards, 'tokenizer.json'], flaw: undefined });
  expect(pickBaseFiles(files(...whole, ...shards))).toMatchObject({ names: whole, skipped: shards });
});

test('long texts for people: left out', () => {
  const picked = pickBaseFiles([...files(...whole), { name: 'README.md', bytes: 2 ** 21 }]);
  expect(picked).toMatchObject({ names: whole, skipped: ['README.md'] });
});

test.each([
  ['adapter', ['adapter_config.json', 'adapter_model.safetensors', 'tokenizer.json']],
  ['adapter', ['config.json', 'adapter_config.json', 'adapter_model.safetensors', 'tokenizer.json']],
  ['no-config', ['model.safetensors', 'tokenizer.json']],
  ['pickled', ['config.json', 'pytorch_model.bin', 'tokenizer.json']],
  ['pickled', ['config.json', 'tf_model.h5', 'tokenizer.json']],
  ['other-weights', ['config.json', 'model.gguf', 'tokenizer.json']],
  ['other-weights', ['config.json', 'model.fp16.safetensors', 'tokenizer.json']],
  ['no-weights', ['config.json', 'tokenizer.json']],
  ['no-weights', ['config.json', 'model.safetensors.index.json', 'tokenizer.json']],
  ['no-tokenizer', ['config.json', 'model.safetensors', 'tokenizer_config.json']],
  ['no-tokenizer', ['config.json', 'model.safetensors', 'vocab.json', 'merges.txt']],
])('flaw %s: found in %j', (flaw, names) => {
  expect(pickBaseFiles(files(...names)).flaw).toBe(flaw);
});

test.each(['tokenizer.model', 'spiece.model'])('tokenizer %s: enough', (name) => {
  expect(pickBaseFiles(files('config.json', 'model.safetensors', name)).flaw).toBeUndefined();
});
