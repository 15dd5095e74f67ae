/** Lines of a stream that is not trusted, and JSON in them. */
import { Readable } from 'node:stream';
import { readJsonLines } from '../../../src/lib/json-lines';
import { readLines } from '../../../src/lib/lines';

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

async function linesOf(pieces: readonly (string | Buffer)[], maxChars = 10): Promise<string[]> {
  return await collect(readLines(Readable.from(pieces, { objectMode: false }), maxChars));
}

test.each([
  ['a line cut in pieces', 'whole', ['a', 'b\nc', 'd\n'], ['ab', 'cd']],
  ['no line end at the end', 'a line', ['a\nb'], ['a', 'b']],
  ['empty lines, and Windows line ends', 'kept, and dropped', ['a\r\n', '\n', 'b\r\n'], ['a', '', 'b']],
  ['a long line', 'cut, and the next one whole', ['123456789012345', '6\nnext\n'], ['1234567890', 'next']],
  ['nothing', 'no line', [], []],
])('%s: %s', async (_name, _outcome, pieces, lines) => {
  expect(await linesOf(pieces)).toEqual(lines);
});

test('a character cut in two: whole', async () => {
  const bytes = Buffer.from('ü\n');
  expect(await linesOf([bytes.subarray(0, 1), bytes.subarray(1)])).toEqual(['ü']);
});

test('a line without an end: takes no more memory than its limit', async () => {
  const piece = Buffer.alloc(1 << 20, 'x');
  const endless = async function* () {
    for (let i = 0; i < 200; i++) yield piece;
  };
  const before = process.memoryUsage().heapUsed;
  const lines = await collect(readLines(Readable.from(endless(), { objectMode: false }), 1000));
  expect(lines.map(({ length }) => length)).toEqual([1000]);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(60e6);
});

test('JSON lines: parsed, and what is none or too long is told', async () => {
  const bad: string[] = [];
  const stream = Readable.from(['{"a":1}\nnot\n', '"12345678"\n"1"\n'], { objectMode: false });
  const values = await collect(readJsonLines(stream, (line) => bad.push(line), 8));
  expect(values).toEqual([{ a: 1 }, '1']);
  expect(bad).toEqual(['not', '"12345678']);
});
