/** Safetensors files as somebody forges them: whole in memory, with whatever numbers. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { Sha256 } from '../domain/ids';
import { sha256 } from '../lib/hash';
import type { FileRef } from '../protocol/trainer';

/** One tensor; its bytes are changed in place. */
export interface Tensor {
  name: string;
  dtype: keyof typeof SIZES;
  shape: readonly number[];
  bytes: Buffer;
}

/** Bytes of a number. */
const SIZES = { F32: 4, BF16: 2, I8: 1, U8: 1, U16: 2, U32: 4 } as const;

const Entry = z.object({
  dtype: z.enum(['F32', 'BF16', 'I8', 'U8', 'U16', 'U32']),
  shape: z.array(z.int()),
  data_offsets: z.tuple([z.int(), z.int()]),
});

export async function readTensors(path: string): Promise<Tensor[]> {
  const file = await readFile(path);
  const bodyAt = 8 + Number(file.readBigUInt64LE());
  const { __metadata__: _, ...entries } = z
    .looseObject({ __metadata__: z.unknown() })
    .parse(JSON.parse(file.toString('utf8', 8, bodyAt)));
  return Object.entries(entries).map(([name, entry]) => {
    const { dtype, shape, data_offsets } = Entry.parse(entry);
    const [start, end] = data_offsets;
    return { name, dtype, shape, bytes: file.subarray(bodyAt + start, bodyAt + end) };
  });
}

export async function writeTensors(path: string, tensors: readonly Tensor[]): Promise<FileRef> {
  const file = tensorFile(tensors);
  await writeFile(path, file);
  return { path, sha256: Sha256.parse(sha256(file)), bytes: file.length };
}

/** The bytes of a file that holds these tensors in this order. */
export function tensorFile(tensors: readonly Tensor[]): Buffer {
  const header: Record<string, object> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  const text = JSON.stringify(header);
  const padded = text.padEnd(Math.ceil(text.length / 8) * 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, Buffer.from(padded), ...tensors.map(({ bytes }) => bytes)]);
}

/** Fills a tensor with numbers far from anything that training would make. */
export function fillWithNoise({ dtype, bytes }: Tensor): void {
  const random = randomBytes(bytes.length);
  if (dtype !== 'F32') return void random.copy(bytes);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeFloatLE(random.readUInt32LE(at) / 2 ** 36, at);
}

/** A tensor of zeros. */
export function emptyTensor(name: string, dtype: Tensor['dtype'], shape: readonly number[]): Tensor {
  return { name, dtype, shape, bytes: Buffer.alloc(countOf(shape) * SIZES[dtype]) };
}

export function countOf(shape: readonly number[]): number {
  return shape.reduce((count, length) => count * length, 1);
}
