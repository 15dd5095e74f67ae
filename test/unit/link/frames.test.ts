/** Chunks encoded and decoded, and everything that must not decode. */
import fc from 'fast-check';
import { decodeChunk, HEADER_BYTES } from '../../../src/link/frames';
import { CHUNK_BYTES } from '../../../src/protocol/link';
import { encodeChunk } from '../../support/raw-link';

const transfers = fc.integer({ min: 1, max: 0xffff_ffff });
const offsets = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - CHUNK_BYTES });

test('default: a chunk decodes to what was encoded', () => {
  fc.assert(
    fc.property(transfers, offsets, fc.uint8Array({ minLength: 1, maxLength: 2000 }), (transfer, offset, bytes) => {
      const chunk = decodeChunk(encodeChunk({ transfer, offset, bytes }));
      expect(chunk).toEqual({ transfer, offset, bytes: Buffer.from(bytes) });
    }),
  );
});

test('any bytes: they decode to a chunk that encodes to them, or not at all', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (garbage) => {
      const frame = Buffer.from(garbage);
      const chunk = decodeChunk(frame);
      if (chunk) expect(encodeChunk(chunk)).toEqual(frame);
    }),
    { numRuns: 2000 },
  );
});

test('truncated frame: no chunk, or a shorter one', () => {
  const frame = encodeChunk({ transfer: 7, offset: 9, bytes: Buffer.from('abc') });
  for (let length = 0; length <= HEADER_BYTES; length++) expect(decodeChunk(frame.subarray(0, length))).toBeUndefined();
  expect(decodeChunk(frame.subarray(0, HEADER_BYTES + 1))?.bytes.length).toBe(1);
});

test.each([
  ['of another kind', (frame: Buffer) => frame.writeUInt8(2, 0)],
  ['of transfer 0', (frame: Buffer) => frame.writeUInt32BE(0, 1)],
  ['beyond exact numbers', (frame: Buffer) => frame.writeBigUInt64BE(2n ** 53n, 5)],
])('frame %s: no chunk', (_name, spoil) => {
  const frame = encodeChunk({ transfer: 7, offset: 9, bytes: Buffer.from('abc') });
  spoil(frame);
  expect(decodeChunk(frame)).toBeUndefined();
});

test('frame longer than a chunk: no chunk', () => {
  const bytes = Buffer.alloc(CHUNK_BYTES + 1);
  expect(decodeChunk(encodeChunk({ transfer: 1, offset: 0, bytes }))).toBeUndefined();
  expect(decodeChunk(encodeChunk({ transfer: 1, offset: 0, bytes: bytes.subarray(1) }))).toBeDefined();
});
