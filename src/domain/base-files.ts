/** Which files of a model's directory make a base, and why a directory is none. */

/** Why no base can be made of a directory; the last part of an error's code. */
export type BaseFlaw = 'adapter' | 'no-config' | 'pickled' | 'other-weights' | 'no-weights' | 'no-tokenizer';

export interface PickedFiles {
  /** The files of the base, sorted by name. */
  names: string[];
  /** The others. */
  skipped: string[];
  flaw?: BaseFlaw | undefined;
}

export const WEIGHTS_FILE = 'model.safetensors';
export const WEIGHTS_INDEX = 'model.safetensors.index.json';
const SHARD = /^model-\d{5,6}-of-\d{5,6}\.safetensors$/;
const PICKLED = /\.(bin|pt|pth|ckpt|pkl|h5|msgpack|ot)$/;
const OTHER_WEIGHTS = /\.(safetensors|gguf|onnx|npz)$/;
/** Any one of these is a tokenizer; `vocab.json` with `merges.txt` does not say how to cut text. */
const TOKENIZERS = ['tokenizer.json', 'tokenizer.model', 'spiece.model'];
const PLAIN = new Set([
  'config.json',
  'generation_config.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'README.md',
  'LICENSE',
  'LICENSE.md',
  'LICENSE.txt',
  'NOTICE',
  ...TOKENIZERS,
]);
/** So much may a file have that is no weights, and one that only people read; a larger one is of no base. */
export const MAX_PLAIN_BYTES = 64 * 2 ** 20;
const MAX_TEXT_BYTES = 2 ** 20;
const FOR_PEOPLE = /^(README|LICENSE|NOTICE)/;

/**
 * Whether a base may have such a file at all: nothing in it is code, nothing is pickled, and only weights are
 * too large for memory.
 */
export function isBaseFile({ name, bytes }: { name: string; bytes: number }): boolean {
  if (isWeights(name)) return true;
  const most = FOR_PEOPLE.test(name) ? MAX_TEXT_BYTES : MAX_PLAIN_BYTES;
  return (PLAIN.has(name) || name === WEIGHTS_INDEX) && bytes <= most;
}

/** Whether a file holds tensors; of the others none is large. */
export function isWeights(name: string): boolean {
  return name === WEIGHTS_FILE || SHARD.test(name);
}

/**
 * Picks the files of a base from a directory's. Where weights lie both in one file and in several, the one
 * file counts, as it does for transformers.
 */
export function pickBaseFiles(files: readonly { name: string; bytes: number }[]): PickedFiles {
  const all = new Set(files.map(({ name }) => name));
  const isPart = (name: string) => name !== WEIGHTS_FILE && (isWeights(name) || name === WEIGHTS_INDEX);
  const isUsed = (file: { name: string; bytes: number }) =>
    isBaseFile(file) && !(isPart(file.name) && all.has(WEIGHTS_FILE));
  const names = files.filter(isUsed).map(({ name }) => name);
  const used = new Set(names);
  return {
    names: names.sort(byName),
    skipped: files.flatMap(({ name }) => (used.has(name) ? [] : [name])).sort(byName),
    flaw: findFlaw(used, all),
  };
}

function findFlaw(used: ReadonlySet<string>, all: ReadonlySet<string>): BaseFlaw | undefined {
  const some = (pattern: RegExp) => [...all].some((name) => pattern.test(name));
  if (!used.has('config.json')) return all.has('adapter_config.json') ? 'adapter' : 'no-config';
  const isWhole = used.has(WEIGHTS_FILE) || (used.has(WEIGHTS_INDEX) && [...used].some(isWeights));
  if (!isWhole) {
    if (all.has('adapter_config.json')) return 'adapter';
    if (some(PICKLED)) return 'pickled';
    return some(OTHER_WEIGHTS) ? 'other-weights' : 'no-weights';
  }
  return TOKENIZERS.some((name) => used.has(name)) ? undefined : 'no-tokenizer';
}

function byName(a: string, b: string): number {
  return a < b ? -1 : 1;
}
