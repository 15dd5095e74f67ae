/** Hashes of files, and what is told while they are read. */
import { writeFile } from 'node:fs/promises';
import { sha256, sha256File } from '../../../src/lib/hash';
import { openScratch } from '../../support/scratch';

test('file of several pieces: its hash, and how much has been read after each', async () => {
  await using scratch = await openScratch();
  const bytes = Buffer.alloc((5 << 20) + 7, 'whale');
  await writeFile(scratch.file('data'), bytes);
  const seen: number[] = [];
  expect(await sha256File(scratch.file('data'), (done) => seen.push(done))).toBe(sha256(bytes));
  expect(seen.length).toBeGreaterThan(5);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBe(bytes.length);
});
