/** How the documentation shows what benchmarks have found. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rowOf } from '../../scripts/bench/report';
import { ReportBook, showIn } from '../../scripts/bench/report-book';

const docs = join(__dirname, '..', '..', 'docs');
const page = 'before\n<!-- measured -->\nold\n<!-- end of measured -->\nafter\n';
const report = (machine: string, name: string) => ({
  machine,
  date: '2026-11-30',
  rows: [rowOf({ name, bar: '', ours: 1, theirs: 2, unit: 's' })],
});

test('page with marks: one table of each machine and day between them', () => {
  const shown = showIn(page, { link: report('A', 'x'), upload: report('A', 'y'), home: report('B', 'z') });
  expect(shown).not.toContain('old');
  expect(shown.split('\n').filter((line) => /^(before|after|2026|\| [xyz])/.test(line))).toEqual([
    'before',
    '2026-11-30, B:',
    '| z |  | 0.5 | 1 | 2 | s |',
    '2026-11-30, A:',
    '| x |  | 0.5 | 1 | 2 | s |',
    '| y |  | 0.5 | 1 | 2 | s |',
    'after',
  ]);
});

test('page shown again: stays as it is', () => {
  const book = { link: report('A', 'x') };
  expect(showIn(showIn(page, book), book)).toBe(showIn(page, book));
});

test('page without marks: is refused', () => {
  expect(() => showIn('before', {})).toThrow(/measured/);
});

test('docs/benchmarks.md: shows docs/benchmarks.json', () => {
  const shown = readFileSync(join(docs, 'benchmarks.md'), 'utf8');
  const book = ReportBook.parse(JSON.parse(readFileSync(join(docs, 'benchmarks.json'), 'utf8')));
  expect(shown).toBe(showIn(shown, book));
});
