/** Headers of safetensors files: names, types and shapes of tensors, read without the numbers behind them. */
import { z } from 'zod';
import { parseJson } from '../lib/parse-json';

export interface TensorShape {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** A file of which parts can be read. */
export interface TensorSource {
  readonly bytes: number;
  /** Returns exactly these bytes, or throws. */
  read(start: number, length: number): Promise<Buffer>;
}

/** The format's own limit is 100 MB; the headers of the largest public models have a tenth of this. */
const MAX_HEADER_BYTES = 16 * 2 ** 20;
/** The largest models that can be trained have some 3000. */
export const MAX_TENSORS = 10_000;
const MAX_NAME_CHARACTERS = 200;
const LENGTH_BYTES = 8;
/** Most headers are shorter, so one read is enough. */
const FIRST_BYTES = 64 * 1024;

const widths: Readonly<Record<string, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};

const Entry = z.strictObject({
  dtype: z.string(),
  shape: z.array(z.int().min(0)).max(8),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});

/**
 * Reads the header of a file, by the rules of the format: tensors lie one behind the other without holes,
 * each as long as its shape says, and the last one ends the file. Throws an error that says what is wrong.
 */
export async function readTensorShapes({ bytes, read }: TensorSource): Promise<TensorShape[]> {
  if (bytes < LENGTH_BYTES + 2) throw new Error('it is too short to be a safetensors file');
  const first = await read(0, Math.min(bytes, FIRST_BYTES));
  const length = first.readBigUInt64LE(0);
  if (length > MAX_HEADER_BYTES || Number(length) > bytes - LENGTH_BYTES)
    throw new Error(`its header claims ${length} bytes, of ${bytes} in all`);
  const end = LENGTH_BYTES + Number(length);
  const text = end <= first.length ? first : await read(0, end);
  return parseHeader(text.subarray(LENGTH_BYTES, end), bytes - end);
}

function parseHeader(text: Buffer, dataBytes: number): TensorShape[] {
  const header = parseJson(text.toString('utf8'));
  if (typeof header !== 'object' || header === null || Array.isArray(header)) throw new Error('its header is not JSON');
  const { __metadata__: _, ...tensors } = header as Record<string, unknown>;
  const names = Object.keys(tensors);
  if (names.length > MAX_TENSORS) throw new Error(`it has ${names.length} tensors`);
  const long = names.find(({ length }) => length > MAX_NAME_CHARACTERS);
  if (long !== undefined) throw new Error(`it has a tensor with a name of ${long.length} characters`);
  const entries = names.map((name) => ({ name, ...parseEntry(name, tensors[name]) }));
  let at = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at) throw new Error(`tensor ${shortName(name)} begins at ${begin}, and the one before ends at ${at}`);
    at = end;
  }
  if (at !== dataBytes) throw new Error(`its tensors have ${at} bytes, and the file has room for ${dataBytes}`);
  return entries.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
}

function parseEntry(name: string, entry: unknown) {
  const parsed = Entry.safeParse(entry).data;
  const width = parsed && widths[parsed.dtype];
  if (!parsed || width === undefined) throw new Error(`tensor ${shortName(name)} is not described as one`);
  const {
    dtype,
    shape,
    data_offsets: [begin, end],
  } = parsed;
  const bytes = shape.reduce((product, size) => product * size, width);
  if (end - begin !== bytes)
    throw new Error(`tensor ${shortName(name)} has ${end - begin} bytes, and its shape ${bytes}`);
  return { dtype, shape, begin, end };
}

/** A stranger's name in a sentence. */
function shortName(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}
