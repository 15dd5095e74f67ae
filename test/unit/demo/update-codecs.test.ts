/** Decoding gives what Python's codecs give, by the golden vectors that both are tested with. */

import { decodeNumbers, emptyUpdate } from '../../../src/demo/update-codecs';
import { CODEC_BYTES, type Codec, codecs } from '../../../src/domain/codec';
import { sha256 } from '../../../src/lib/hash';
import vectors from '../../support/codec-vectors.json';

const partsOf = (codec: Codec) =>
  Object.fromEntries(
    Object.entries<string>(vectors[codec].parts).map(([suffix, text]) => [suffix, Buffer.from(text, 'base64')]),
  );
const tensorsOf = (codec: Codec) => emptyUpdate([{ name: 'a', shape: [vectors[codec].count] }], codec);

test.each(codecs)('golden vector of %s: the same numbers', (codec) => {
  const numbers = decodeNumbers(codec, partsOf(codec), vectors[codec].count);
  expect(sha256(Buffer.from(numbers.buffer))).toBe(vectors[codec].decoded[1]);
});

test.each(codecs)('empty update in %s: parts of the right size that decode to zeros', (codec) => {
  const tensors = Object.fromEntries(tensorsOf(codec).map(({ name, bytes }) => [name.slice(1), bytes]));
  const sizes = (parts: Record<string, Buffer>) =>
    Object.entries(parts).map(([suffix, { length }]) => [suffix, length]);
  expect(sizes(tensors)).toEqual(sizes(partsOf(codec)));
  const numbers = decodeNumbers(codec, tensors, vectors[codec].count);
  expect(numbers.every((number) => number === 0)).toBe(true);
});

test.each(codecs)('bytes of a number in %s: those of a large tensor', (codec) => {
  const bytes = emptyUpdate([{ name: 'a', shape: [4096, 16] }], codec).reduce(
    (sum, { bytes }) => sum + bytes.length,
    0,
  );
  expect(CODEC_BYTES[codec]).toBe(bytes / 65_536);
});

test('empty update in sparse: the first numbers of each group are listed', () => {
  const [index, count] = emptyUpdate([{ name: 'a', shape: [4096 + 30] }], 'sparse');
  expect([...(index?.bytes ?? [])]).toEqual([...Array(64).keys(), ...Array(30).keys()]);
  expect([...(count?.bytes ?? [])]).toEqual([64, ...Array(15).fill(0), 30]);
});
