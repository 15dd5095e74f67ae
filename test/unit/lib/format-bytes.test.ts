/** Sizes as people read them. */
import { formatBytes } from '../../../src/lib/format-bytes';

describe('formatBytes', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_234_567, '1.2 MB'],
    [5e15, '5000.0 TB'],
  ])('%d bytes: with a unit', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});
