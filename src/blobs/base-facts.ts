/** What the files of a base tell about it, from its config.json and the heads of its weights alone. */
import { z } from 'zod';
import { type Architecture, architectures } from '../domain/architectures';
import { isWeights, MAX_PLAIN_BYTES, WEIGHTS_FILE, WEIGHTS_INDEX } from '../domain/base-files';
import type { Sha256 } from '../domain/ids';
import { AppError } from '../lib/errors';
import { parseJson } from '../lib/parse-json';
import { type BaseErrorCode, baseError } from './base-errors';
import { MAX_TENSORS, readTensorShapes, type TensorShape } from './safetensors';

/** A base as it is described to people, and as memory, files and time of a job are estimated by it. */
export interface BaseFacts {
  readonly architecture: string;
  /** All numbers of the model; those of an output layer that is the embedding count once. */
  readonly parameters: number;
  /** Of all files together. */
  readonly baseBytes: number;
  /** Of the weights: F32, BF16, F16. */
  readonly dtypes: readonly string[];
  readonly layers: number;
  readonly width: number;
  /** Rows of the embedding. */
  readonly vocabSize: number;
  /** The longest sequence it was made for. */
  readonly context: number;
  /** As its README's front matter names it. */
  readonly licence?: string | undefined;
  readonly hasChatTemplate: boolean;
  readonly tokenizer: 'tokenizer.json' | 'sentencepiece';
  /** The weights, without the mask buffers that old files carry. */
  readonly tensors: readonly TensorShape[];
}

export interface BaseFile {
  readonly name: string;
  readonly bytes: number;
  /** Where it is known before the file is here. */
  readonly sha256?: Sha256 | undefined;
}

/** The files of a base, wherever they lie; parts of them can be read. */
export interface BaseReader {
  /** How its reference, or its directory, was written. */
  readonly base: string;
  readonly files: readonly BaseFile[];
  /** Returns exactly these bytes of a file, or throws. */
  read(name: string, start: number, length: number): Promise<Buffer>;
}

const count = z.int().min(1).max(1_000_000);
/** The names that GPT-2's configuration has of its own. */
const Config = z.looseObject({
  architectures: z.array(z.string()).min(1).max(1).optional(),
  model_type: z.string().max(100),
  auto_map: z.unknown().optional(),
  quantization_config: z.unknown().optional(),
  num_hidden_layers: count.optional(),
  n_layer: count.optional(),
  hidden_size: count.optional(),
  n_embd: count.optional(),
  vocab_size: z.int().min(1).max(10_000_000),
  max_position_embeddings: z.int().min(1).max(1e9).optional(),
  n_positions: z.int().min(1).max(1e9).optional(),
  tie_word_embeddings: z.boolean().optional(),
});
type Config = z.infer<typeof Config>;

const Index = z.looseObject({ weight_map: z.record(z.string().max(500), z.string().max(200)) });

/** So much of a config.json is read, and of a README. */
const MAX_CONFIG_BYTES = 2 ** 20;
const FLOATS = ['F32', 'F16', 'BF16'];
/** What files of older versions of transformers carry besides the weights. */
const BUFFER = /(^|\.)(attn\.(bias|masked_bias)|rotary_emb\.inv_freq)$/;
const EMBEDDING = /(^|\.)(wte|embed_tokens)\.weight$/;
const HEAD = /(^|\.)lm_head\.weight$/;
const LAYER = /(^|\.)(?:h|layers)\.(\d+)\./;

/**
 * Reads what a base is. Throws `base/…` for one that cannot be trained: its architecture, code of its own,
 * quantised weights, and heads of weights that are broken or fit neither one another nor its configuration.
 */
export async function readBaseFacts(reader: BaseReader): Promise<BaseFacts> {
  const config = await readConfig(reader);
  const [architecture, { isTied: isUsuallyTied }] = requireArchitecture(reader, config);
  const tensors = (await readTensors(reader)).filter(({ name }) => !BUFFER.test(name));
  const { layers, width } = shapeOf(reader, config);
  const isTied = config.tie_word_embeddings ?? isUsuallyTied;
  requireWeights(reader, tensors, { layers, width, rows: config.vocab_size, isTied });
  // A head that is the embedding may be stored under both names, or under either.
  const isTwice = isTied && tensors.some(({ name }) => EMBEDDING.test(name));
  const own = isTwice ? tensors.filter(({ name }) => !HEAD.test(name)) : tensors;
  return {
    architecture,
    parameters: own.reduce((sum, { shape }) => sum + product(shape), 0),
    baseBytes: reader.files.reduce((sum, { bytes }) => sum + bytes, 0),
    dtypes: [...new Set(tensors.map(({ dtype }) => dtype))].sort(),
    layers,
    width,
    vocabSize: config.vocab_size,
    context: config.max_position_embeddings ?? config.n_positions ?? 0,
    licence: await readLicence(reader),
    hasChatTemplate: await hasChatTemplate(reader),
    tokenizer: tokenizerOf(reader),
    tensors,
  };
}

async function readConfig(reader: BaseReader): Promise<Config> {
  const parsed = Config.safeParse(parseJson(await readText(reader, 'config.json', MAX_CONFIG_BYTES)));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const problem = `${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'not readable'}`;
  throw refuse(reader, 'bad-config', `has a config.json that cannot be used (${problem}).`);
}

function requireArchitecture(reader: BaseReader, config: Config): [name: string, Architecture] {
  if (config.auto_map !== undefined) {
    const sentence = 'runs code of its own (auto_map in its config.json); only classes of transformers itself are run.';
    throw refuse(reader, 'remote-code', sentence);
  }
  if (config.quantization_config !== undefined) {
    throw refuse(
      reader,
      'quantised',
      'is quantised, and cannot be trained further; take the original in 16 or 32 bits.',
    );
  }
  const { model_type: type } = config;
  const found = Object.entries(architectures).find(([, known]) => known.type === type);
  const named = config.architectures?.[0] ?? found?.[0];
  if (found && found[0] === named) return found;
  const known = Object.keys(architectures).join(', ');
  throw refuse(reader, 'architecture', `is a ${quote(named ?? type)}; what can be trained is ${known}.`);
}

function shapeOf(reader: BaseReader, config: Config): { layers: number; width: number } {
  const layers = config.num_hidden_layers ?? config.n_layer;
  const width = config.hidden_size ?? config.n_embd;
  if (layers !== undefined && width !== undefined) return { layers, width };
  throw refuse(reader, 'bad-config', 'has a config.json without its number of layers and its width.');
}

/** Reads the heads of all files of weights. What an index names must be where it says. */
async function readTensors(reader: BaseReader): Promise<TensorShape[]> {
  if (reader.files.some(({ name }) => name === WEIGHTS_FILE)) return readHead(reader, WEIGHTS_FILE);
  const text = await readText(reader, WEIGHTS_INDEX, MAX_PLAIN_BYTES);
  const places = Index.safeParse(parseJson(text)).data?.weight_map;
  const named = Object.keys(places ?? {}).length;
  if (!places || named === 0) throw refuse(reader, 'bad-weights', `has no weight_map in ${WEIGHTS_INDEX}.`);
  if (named > MAX_TENSORS) throw refuse(reader, 'bad-weights', `names ${named} tensors in ${WEIGHTS_INDEX}.`);
  const all: TensorShape[] = [];
  for (const file of [...new Set(Object.values(places))].sort()) {
    if (!isWeights(file)) throw refuse(reader, 'bad-weights', `names ${quote(file)} in ${WEIGHTS_INDEX}.`);
    const found = new Map((await readHead(reader, file)).map((tensor) => [tensor.name, tensor]));
    for (const name of Object.keys(places).filter((one) => places[one] === file)) {
      const tensor = found.get(name);
      if (!tensor)
        throw refuse(reader, 'bad-weights', `has no ${quote(name)} in ${file}, where ${WEIGHTS_INDEX} says.`);
      all.push(tensor);
    }
  }
  return all;
}

async function readHead(reader: BaseReader, file: string): Promise<TensorShape[]> {
  const found = reader.files.find(({ name }) => name === file);
  if (!found) throw refuse(reader, 'bad-weights', `lacks ${file}, which ${WEIGHTS_INDEX} names.`);
  try {
    return await readTensorShapes({ bytes: found.bytes, read: (start, length) => reader.read(file, start, length) });
  } catch (error) {
    if (error instanceof AppError || (error as { code?: unknown }).code !== undefined) throw error;
    throw refuse(reader, 'bad-weights', `has a broken ${file}: ${(error as Error).message}.`);
  }
}

/** Compares heads and configuration, as memory is planned by the one and the model is built by the other. */
function requireWeights(
  reader: BaseReader,
  tensors: readonly TensorShape[],
  { layers, width, rows, isTied }: { layers: number; width: number; rows: number; isTied: boolean },
): void {
  const odd = tensors.find(({ dtype }) => !FLOATS.includes(dtype));
  if (odd) {
    const sentence = `has ${quote(odd.name)} in ${odd.dtype}; weights must be in ${FLOATS.join(', ')}.`;
    throw refuse(reader, odd.dtype === 'F64' ? 'bad-weights' : 'quantised', sentence);
  }
  const heads = tensors.filter(({ name }) => HEAD.test(name));
  const embedding = tensors.find(({ name }) => EMBEDDING.test(name)) ?? (isTied ? heads[0] : undefined);
  if (embedding?.shape.join() !== `${rows},${width}`) {
    const has = embedding ? `an embedding of ${embedding.shape.join(' × ')}` : 'no embedding';
    throw refuse(reader, 'bad-weights', `has ${has}, and its config.json says ${rows} × ${width}.`);
  }
  if (!isTied && heads.length === 0)
    throw refuse(
      reader,
      'bad-weights',
      'has no lm_head.weight, and its config.json says that it is not the embedding.',
    );
  const numbers = tensors.flatMap(({ name }) => LAYER.exec(name)?.[2] ?? []).map(Number);
  const found = numbers.reduce((most, number) => Math.max(most, number + 1), 0);
  if (found === layers) return;
  throw refuse(reader, 'bad-weights', `has weights of ${found} layers, and its config.json says ${layers}.`);
}

async function readLicence(reader: BaseReader): Promise<string | undefined> {
  const text = await readText(reader, 'README.md', MAX_CONFIG_BYTES).catch(() => '');
  const [, front = ''] = /^---\r?\n([\s\S]*?)\r?\n---/.exec(text) ?? [];
  const line = (key: string) => new RegExp(`^${key}:[ \\t]*["']?([\\w.+-]{1,64})["']?[ \\t]*$`, 'm').exec(front)?.[1];
  const licence = line('license');
  return licence === 'other' ? (line('license_name') ?? licence) : licence;
}

async function hasChatTemplate(reader: BaseReader): Promise<boolean> {
  if (reader.files.some(({ name }) => name === 'chat_template.jinja')) return true;
  const text = await readText(reader, 'tokenizer_config.json', MAX_PLAIN_BYTES).catch(() => '');
  const config = parseJson(text) as { chat_template?: unknown } | null | undefined;
  const { chat_template: template } = config ?? {};
  return typeof template === 'string' || Array.isArray(template);
}

function tokenizerOf({ files }: BaseReader): BaseFacts['tokenizer'] {
  return files.some(({ name }) => name === 'tokenizer.json') ? 'tokenizer.json' : 'sentencepiece';
}

/** Throws `base/bad-config` for a file that is missing or too long. */
async function readText(reader: BaseReader, file: string, maxBytes: number): Promise<string> {
  const found = reader.files.find(({ name }) => name === file);
  if (!found || found.bytes > maxBytes)
    throw refuse(reader, 'bad-config', found ? `has ${found.bytes} bytes of ${file}.` : `has no ${file}.`);
  const bytes = await reader.read(file, 0, found.bytes);
  return bytes.toString('utf8').replace(/^\uFEFF/, '');
}

function refuse({ base }: BaseReader, reason: string, sentence: string) {
  return baseError(`base/${reason}` as BaseErrorCode, base, sentence);
}

function product(shape: readonly number[]): number {
  return shape.reduce((result, size) => result * size, 1);
}

/** A stranger's word in a sentence. */
function quote(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
