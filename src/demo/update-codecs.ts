/** Updates in their codecs as somebody forges them: the same files, and the same numbers, as Python's. */
import { BLOCK, type Codec } from '../domain/codec';
import { countOf, emptyTensor, type Tensor } from './tensor-files';

/** One of the tensors that a tensor is stored as. One without a length has the tensor's own shape. */
interface Part {
  suffix: string;
  dtype: Tensor['dtype'];
  length?: (count: number) => number;
}

const GROUP = 4096;
const KEPT = 64;

const of = (numbers: number) => (count: number) => Math.ceil(count / numbers);
const keptOf = (count: number) => Math.floor(count / GROUP) * KEPT + Math.min(KEPT, count % GROUP);
const pairs = (numbers: number) => (count: number) => 2 * Math.ceil(count / numbers);

export const codecParts: Readonly<Record<Codec, readonly Part[]>> = {
  fp32: [{ suffix: '', dtype: 'F32' }],
  bf16: [{ suffix: '', dtype: 'BF16' }],
  int8: [
    { suffix: '.q', dtype: 'I8' },
    { suffix: '.scale', dtype: 'F32', length: of(BLOCK) },
  ],
  int4: [
    { suffix: '.q', dtype: 'U8', length: of(2) },
    { suffix: '.scale', dtype: 'BF16', length: of(BLOCK) },
  ],
  int2: [
    { suffix: '.q', dtype: 'U8', length: of(4) },
    { suffix: '.scale', dtype: 'BF16', length: pairs(BLOCK) },
  ],
  sparse: [
    { suffix: '.index', dtype: 'U8', length: keptOf },
    { suffix: '.count', dtype: 'U8', length: of(BLOCK) },
    { suffix: '.q', dtype: 'U8', length: (count) => Math.ceil(keptOf(count) / 4) },
    { suffix: '.scale', dtype: 'BF16', length: pairs(GROUP) },
  ],
};

type Parts = Readonly<Record<string, Buffer>>;
type Decode = (parts: Parts, count: number) => Float32Array;

const decoders: Readonly<Record<Codec, Decode>> = {
  fp32: (parts) => floatsOf(part(parts, '')),
  bf16: (parts) => bf16sOf(part(parts, '')),
  int8: (parts, count) => {
    const [payload, scales] = [part(parts, '.q'), floatsOf(part(parts, '.scale'))];
    return numbers(count, (i) => payload.readInt8(i) * at(scales, Math.floor(i / BLOCK)));
  },
  int4: (parts, count) => {
    const [codes, scales] = [unpack(part(parts, '.q'), 4, count), bf16sOf(part(parts, '.scale'))];
    return numbers(count, (i) => (2 * at(codes, i) - 15) * at(scales, Math.floor(i / BLOCK)));
  },
  int2: (parts, count) => {
    const [codes, scales] = [unpack(part(parts, '.q'), 2, count), bf16sOf(part(parts, '.scale'))];
    return numbers(count, (i) => levelOf(at(codes, i), scales, Math.floor(i / BLOCK)));
  },
  sparse: (parts, count) => {
    const [indices, scales] = [part(parts, '.index'), bf16sOf(part(parts, '.scale'))];
    const codes = unpack(part(parts, '.q'), 2, indices.length);
    const result = new Float32Array(count);
    let i = 0;
    for (const [run, kept] of part(parts, '.count').entries()) {
      for (const end = i + kept; i < end; i++) {
        result[BLOCK * run + at(indices, i)] = levelOf(at(codes, i), scales, Math.floor(i / KEPT));
      }
    }
    return result;
  },
};

/** An update of zeros for a model. */
export function emptyUpdate(theta: readonly Pick<Tensor, 'name' | 'shape'>[], codec: Codec): Tensor[] {
  return theta.flatMap(({ name, shape }) =>
    codecParts[codec].map(({ suffix, dtype, length }) => {
      const count = countOf(shape);
      const tensor = emptyTensor(name + suffix, dtype, length ? [length(count)] : shape);
      // Of each group of a sparse update some numbers are listed, whatever they are: the first ones.
      if (suffix === '.index') tensor.bytes.set(tensor.bytes.map((_, i) => i % KEPT));
      if (suffix === '.count')
        for (let at = 0; at < count; at += GROUP) tensor.bytes[at / BLOCK] = Math.min(KEPT, count - at);
      return tensor;
    }),
  );
}

/** Returns the numbers of a tensor from the bytes of its parts, by their suffixes. */
export function decodeNumbers(codec: Codec, parts: Parts, count: number): Float32Array {
  return decoders[codec](parts, count);
}

/** ±a ± b: bit 0 of a code is the sign of a, bit 1 that of b. */
function levelOf(code: number, scales: Float32Array, row: number): number {
  const [a, b] = [at(scales, 2 * row), at(scales, 2 * row + 1)];
  return (code & 1 ? -a : a) + (code & 2 ? -b : b);
}

/** Unpacks codes: byte i holds the i-th code of each of several runs of 256, or of what is left of them. */
function unpack(payload: Buffer, bits: 2 | 4, count: number): Uint8Array {
  const planes = 8 / bits;
  const full = Math.floor(count / (planes * BLOCK)) * planes * BLOCK;
  const rest = Math.ceil((count - full) / planes);
  return Uint8Array.from({ length: count }, (_, i) => {
    const [start, length] = i < full ? [i - (i % (planes * BLOCK)), BLOCK] : [full, rest];
    const byte = at(payload, start / planes + ((i - start) % length));
    return (byte >> (bits * Math.floor((i - start) / length))) & (2 ** bits - 1);
  });
}

export function floatsOf(bytes: Buffer): Float32Array {
  // A copy, as a view would have to begin at a multiple of four.
  return new Float32Array(new Uint8Array(bytes).buffer);
}

function bf16sOf(bytes: Buffer): Float32Array {
  const wide = Uint32Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i) << 16);
  return new Float32Array(wide.buffer);
}

function numbers(count: number, value: (i: number) => number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => value(i));
}

function part(parts: Parts, suffix: string): Buffer {
  return parts[suffix] ?? Buffer.alloc(0);
}

function at(values: ArrayLike<number>, i: number): number {
  return values[i] ?? 0;
}
