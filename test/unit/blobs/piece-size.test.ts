/** How many bytes of an upload one request carries, by how long the last ones took. */
import { PieceSize } from '../../../src/blobs/piece-size';

const MIB = 2 ** 20;

test('quick pieces: twice as large each time, up to 64 MiB', () => {
  const size = new PieceSize();
  const sizes = Array.from({ length: 5 }, () => {
    size.noteSent(size.bytes, 500);
    return size.bytes / MIB;
  });
  expect(sizes).toEqual([16, 32, 64, 64, 64]);
});

test('last piece, smaller than asked for: says nothing', () => {
  const size = new PieceSize();
  size.noteSent(1000, 1);
  expect(size.bytes).toBe(8 * MIB);
});

test('slow pieces: smaller again, and not below the first', () => {
  const size = new PieceSize();
  for (const ms of [500, 500, 2000, 9000, 9000, 9000]) size.noteSent(size.bytes, ms);
  expect(size.bytes).toBe(8 * MIB);
});

test('size that a proxy refused: never again, however quick', () => {
  const size = new PieceSize();
  size.noteSent(size.bytes, 500);
  expect(size.refuse()).toBe(true);
  size.noteSent(size.bytes, 500);
  expect(size.bytes).toBe(8 * MIB);
  while (size.refuse()) size.noteSent(size.bytes, 9000);
  expect(size.bytes).toBe(64 * 2 ** 10);
});
