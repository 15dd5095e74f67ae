/** Holds the pages that point into the source to it: each named file exists and declares the named thing. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BENCHMARKS } from '../../../scripts/bench/benchmarks';

const root = join(__dirname, '..', '..', '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Pointer {
  file: string;
  names: string[];
}

/** Every `path` of a page, with the `names` that follow it in the same cell. */
function pointersIn(page: string): Pointer[] {
  return [...read(page).matchAll(/`((?:src|python|test|scripts)\/[\w./-]+\.\w+)`((?: *,? *`\w+`)*)/g)].map(
    ([, file = '', names = '']) => ({ file, names: [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name) }),
  );
}

/** Whether a source file in TypeScript, Python or Solidity declares the name where others can use it. */
function declares(source: string, name: string): boolean {
  const typescript = `export (async |abstract )?(function\\*?|const|class|interface|type) ${name}\\b`;
  const python = `(^|\\n)(def|class) ${name}\\b|(^|\\n)${name} = `;
  const solidity = `(function|contract|library|interface) ${name}\\b`;
  return new RegExp(`${typescript}|${python}|${solidity}`).test(source);
}

describe.each(['docs/where.md', 'docs/glossary.md'])('%s', (page) => {
  const pointers = pointersIn(page);

  test('default: points into the source in every row', () => {
    const rows = read(page)
      .split('\n')
      .filter((line) => /^\| (\*\*|\d)/.test(line));
    expect(rows.filter((row) => !/`(src|python)\//.test(row))).toEqual([]);
    expect(rows.length).toBeGreaterThanOrEqual(20);
  });

  test('every file it names: exists', () => {
    expect(pointers.filter(({ file }) => !existsSync(join(root, file)))).toEqual([]);
  });

  test('every thing it names: is declared in that file', () => {
    const missing = pointers.flatMap(({ file, names }) => {
      const source = existsSync(join(root, file)) ? read(file) : '';
      return names.filter((name) => !declares(source, name)).map((name) => `${file} ${name}`);
    });
    expect(missing).toEqual([]);
  });
});

test('SECURITY.md: every attack names a test that exists', () => {
  const rows = read('SECURITY.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && line.split('|').length === 8)
    .slice(1);
  const tests = rows.map((row) => row.split('|')[5]?.match(/`(test|python)\/[\w./-]+\.(ts|py)`/g) ?? []);
  expect(rows.length).toBeGreaterThanOrEqual(20);
  expect(rows.filter((_, i) => tests[i]?.length === 0)).toEqual([]);
  expect(tests.flat().filter((path) => !existsSync(join(root, path.replaceAll('`', ''))))).toEqual([]);
});

test('benchmarks: each is run by `npm run bench` or prints tables, and is on its page', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const own = ['drift', 'memory', 'quick'];
  const named = Object.keys(scripts).flatMap((script) => /^bench:(.+)$/.exec(script)?.[1] ?? []);
  expect(named.sort()).toEqual([...Object.keys(BENCHMARKS), ...own].sort());
  const page = read('docs/benchmarks.md');
  expect(named.filter((name) => !page.includes(`    npm run bench:${name} `))).toEqual([]);
});
