/** Text files that options name. */
import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { readGivenText, readJsonFile } from '../../../src/terminal/files';
import { openScratch } from '../../support/scratch';

const Point = z.strictObject({ x: z.number() });

async function given(bytes: Buffer | string) {
  const scratch = await openScratch();
  await writeFile(scratch.file('f.json'), bytes);
  return { path: scratch.file('f.json'), [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
}

test('JSON with a byte order mark: read as without', async () => {
  await using file = await given('\ufeff{"x": 1}');
  expect(await readJsonFile('--relay', file.path, Point)).toEqual({ x: 1 });
  expect(await readGivenText('--params', file.path)).toBe('{"x": 1}');
});

test.each([
  ['UTF-16', Buffer.from('\ufeff{"x": 1}', 'utf16le'), /\(--relay\) cannot be used: it is UTF-16.*save it as UTF-8\.$/],
  ['Latin-1', Buffer.from('{"ü": 1}', 'latin1'), /it is not UTF-8; save it as UTF-8\.$/],
  ['no JSON', 'x', /it is not JSON\.$/],
])('%s: throws usage/bad-file with the remedy', async (_name, bytes, words) => {
  await using file = await given(bytes);
  const reading = readJsonFile('--relay', file.path, Point);
  await expect(reading).rejects.toMatchObject({ code: 'usage/bad-file', message: expect.stringMatching(words) });
});
