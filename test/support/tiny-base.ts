/** A base model of a few kilobytes, as a directory's files: real shapes and headers, made-up numbers. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printFileList } from '../../src/blobs/base-dir';
import type { BlobStore } from '../../src/blobs/blob-store';
import type { Sha256 } from '../../src/domain/ids';
import { sha256 } from '../../src/lib/hash';
import type { ListedFile } from '../../src/protocol/file-list';

export type BaseFiles = Record<string, Buffer>;

/** Each tensor of a safetensors file: its type and shape. */
export type Tensors = Record<string, [dtype: string, ...shape: number[]]>;

export const tinyConfig = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 16,
  intermediate_size: 32,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  num_hidden_layers: 2,
  vocab_size: 64,
  max_position_embeddings: 32,
  tie_word_embeddings: true,
};

const layer = (i: number): Tensors => ({
  [`model.layers.${i}.self_attn.q_proj.weight`]: ['F32', 16, 16],
  [`model.layers.${i}.mlp.up_proj.weight`]: ['F32', 32, 16],
});
export const tinyTensors: Tensors = {
  'model.embed_tokens.weight': ['F32', 64, 16],
  ...layer(0),
  ...layer(1),
  'model.norm.weight': ['F32', 16],
};
/** Of `tinyTensors`. */
export const TINY_PARAMETERS = 64 * 16 + 2 * (16 * 16 + 32 * 16) + 16;

const README = '---\nlanguage: en\nlicense: apache-2.0\n---\n# Tiny\n';

const widths: Record<string, number> = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I8: 1, U8: 1, BOOL: 1 };

/** A tokenizer of bytes and the end of a text, as `tokenizers` reads it: 257 ids. */
export function byteTokenizer(): object {
  const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const hidden = bytes.filter((byte) => !printable(byte));
  // As GPT-2 writes bytes that cannot be shown.
  const letter = (byte: number) => String.fromCodePoint(printable(byte) ? byte : 256 + hidden.indexOf(byte));
  const level = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  const end = { id: 256, content: '<|endoftext|>', single_word: false, lstrip: false, rstrip: false };
  return {
    version: '1.0',
    added_tokens: [{ ...end, normalized: false, special: true }],
    pre_tokenizer: level,
    decoder: level,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries([...bytes.map((byte) => [letter(byte), byte]), [end.content, 256]]),
      merges: [],
    },
  };
}

/** Returns a safetensors file with these tensors, all zeros. */
export function tensorFile(tensors: Tensors, metadata: Record<string, string> = { format: 'pt' }): Buffer {
  let at = 0;
  const entries = Object.entries(tensors).map(([name, [dtype, ...shape]]) => {
    const begin = at;
    at += shape.reduce((product, size) => product * size, widths[dtype] ?? 4);
    return [name, { dtype, shape, data_offsets: [begin, at] }];
  });
  return rawTensorFile({ __metadata__: metadata, ...Object.fromEntries(entries) }, at);
}

/** Returns a safetensors file with any header at all. */
export function rawTensorFile(header: unknown, dataBytes: number): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

/** Returns the files of a base; what is undefined in `changes` is left out. */
export function tinyBase(changes: Record<string, Buffer | string | undefined> = {}): BaseFiles {
  const files: Record<string, Buffer | string | undefined> = {
    'config.json': JSON.stringify(tinyConfig),
    'model.safetensors': tensorFile(tinyTensors),
    'tokenizer.json': JSON.stringify({ version: '1.0', model: { type: 'BPE', vocab: {}, merges: [] } }),
    'tokenizer_config.json': JSON.stringify({ chat_template: '{{ messages }}' }),
    'README.md': README,
    ...changes,
  };
  return Object.fromEntries(
    Object.entries(files).flatMap(([name, content]) => (content === undefined ? [] : [[name, Buffer.from(content)]])),
  );
}

/** Writes the files of a base into a directory. */
export async function writeBase(dir: string, files: BaseFiles = tinyBase()): Promise<string> {
  await mkdir(dir, { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content);
  return dir;
}

/** Returns the list of these files, with its name. */
export function listBase(files: BaseFiles = tinyBase()): { list: Sha256; text: string; files: ListedFile[] } {
  const listed = Object.entries(files).map(([name, content]) => ({
    name,
    sha256: sha256(content) as Sha256,
    bytes: content.length,
  }));
  const text = printFileList(listed);
  return { list: sha256(text) as Sha256, text, files: listed };
}

/** Puts a base and its list into a store. */
export async function storeBase(blobs: Pick<BlobStore, 'addBytes'>, files: BaseFiles = tinyBase()): Promise<Sha256> {
  for (const content of Object.values(files)) await blobs.addBytes(content);
  return (await blobs.addBytes(Buffer.from(listBase(files).text))).sha256;
}
