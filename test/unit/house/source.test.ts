/** The rules of CONTRIBUTING.md that no linter knows: file heads, comment width, unique names, test names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { architectures } from '../../../src/domain/architectures';
import { exportedNames, testNames, typeScriptFiles } from '../../support/house';

const root = join(__dirname, '..', '..', '..');
const MAX_COMMENT_COLUMNS = 110;
const MAX_TEST_NAME = 80;
const MAX_LINES = 400;

const everywhere = typeScriptFiles(root, ['src', 'test', 'scripts']);
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test('every TypeScript file: opens with a comment that says what is in it', () => {
  const headless = everywhere.filter((path) => !/^(#!.*\n)?\/\*\*/.test(read(path)));
  expect(headless).toEqual([]);
});

test(`every comment line: at most ${MAX_COMMENT_COLUMNS} columns`, () => {
  const wide = everywhere.flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, i) => (isComment(line) && line.length > MAX_COMMENT_COLUMNS ? [`${path}:${i + 1}`] : [])),
  );
  expect(wide).toEqual([]);
});

test(`every TypeScript file: at most ${MAX_LINES} lines`, () => {
  expect(everywhere.filter((path) => read(path).trimEnd().split('\n').length > MAX_LINES)).toEqual([]);
});

test('every test file: no cast through unknown', () => {
  const cast = new RegExp(['as', 'unknown', 'as'].join(' '));
  expect(typeScriptFiles(root, ['test']).filter((path) => cast.test(read(path)))).toEqual([]);
});

test('every exported name of src: stands once', () => {
  const owners = new Map<string, string[]>();
  for (const path of typeScriptFiles(root, ['src'])) {
    // Each migration exports the `up` that the migrator calls.
    if (path.startsWith('src/store/migrations/')) continue;
    for (const name of exportedNames(path, read(path))) owners.set(name, [...(owners.get(name) ?? []), path]);
  }
  expect([...owners].filter(([, paths]) => paths.length > 1)).toEqual([]);
});

test(`every test name: "<situation>: <outcome>", at most ${MAX_TEST_NAME} characters`, () => {
  const wrong = everywhere
    .filter((path) => path.endsWith('.test.ts'))
    .flatMap((path) => testNames(path, read(path)).map((name) => ({ path, name })))
    .filter(({ name }) => name.length > MAX_TEST_NAME || !/^\S.*: \S/.test(name));
  expect(wrong).toEqual([]);
});

test('architectures of bases: the same in TypeScript and Python', () => {
  const python = read(join('python', 'emeth', 'models', 'base.py'));
  const [, list = ''] = /^ARCHITECTURES = \{\n([\s\S]*?)^\}/m.exec(python) ?? [];
  const found = [...list.matchAll(/"(\w+)": "(\w+)",/g)].map(([, name, type]) => [name, type]);
  expect(found).toEqual(Object.entries(architectures).map(([name, { type }]) => [name, type]));
});

function isComment(line: string): boolean {
  return /^\s*(\/\/|\/\*|\*[ /])/.test(line);
}
