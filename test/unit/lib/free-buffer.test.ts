/** Memory that is given back at once, and memory that must not be. */
import { freeBuffer } from '../../../src/lib/free-buffer';

test('many large pieces, each freed: no more memory than one of them', () => {
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  for (let i = 0; i < 200; i += 1) {
    const piece = Buffer.allocUnsafeSlow(2 ** 18);
    freeBuffer(piece);
    expect(piece).toHaveLength(0);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  expect(most).toBeLessThan(8 * 2 ** 18);
});

test('piece in front of others in the same memory: left alone', () => {
  const all = Buffer.allocUnsafeSlow(100_000).fill(7);
  const first = all.subarray(0, 50_000);
  freeBuffer(first);
  expect(first).toHaveLength(50_000);
  freeBuffer(all.subarray(50_000));
  expect(first).toHaveLength(0);
});

test('small piece: left alone, as it may lie in a pool', () => {
  const small = Buffer.from('Call me Ishmael.');
  freeBuffer(small);
  expect(String(small)).toBe('Call me Ishmael.');
});
