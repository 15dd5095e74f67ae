/** Nothing from outside grows unseen: npm packages, their scripts and machine code, Python wheels. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageFacts, readLock } from '../../support/packages';
import recorded from './packages.json';

const root = join(__dirname, '..', '..', '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  allowScripts: Record<string, boolean>;
};
const now = packageFacts(root);
/** What to do when a list differs from the record. */
const REMEDY = 'look at each package that is new, then run `npm run record:packages`';

test('every package of package.json: pinned to one version', () => {
  const ranges = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
  expect(ranges.filter(([, range]) => !/^(npm:(@[\w-]+\/)?[\w-]+@)?\d+\.\d+\.\d+$/.test(range))).toEqual([]);
});

test('every npm package for this platform: has a hash in the lock file', () => {
  const lock = [...readLock(root)];
  const isForeign = ({ os, cpu }: { os?: string[]; cpu?: string[] }) =>
    (os !== undefined && !os.includes(process.platform)) || (cpu !== undefined && !cpu.includes(process.arch));
  expect(lock.filter(([, entry]) => !entry.integrity && !isForeign(entry)).map(([path]) => path)).toEqual([]);
});

test('packages that come with others: as recorded', () => {
  expect({ remedy: REMEDY, ...now, binaries: [] }).toEqual({ remedy: REMEDY, ...recorded, binaries: [] });
});

test('packages with machine code: recorded', () => {
  expect(now.binaries.filter((name) => !recorded.binaries.includes(name))).toEqual([]);
});

test('packages with install scripts: each allowed or refused by name', () => {
  expect(now.scripts).toEqual(Object.keys(manifest.allowScripts).sort());
});

test('every file of the repository: text', () => {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);
  const binary = files.filter((path) => readFileSync(join(root, path)).subarray(0, 8000).includes(0));
  expect(binary).toEqual([]);
});

const kinds = readdirSync(join(root, 'python', 'locked'));
const lists = kinds.flatMap((kind) =>
  ['requirements.txt', 'requirements-dev.txt'].map((file) => [kind, file] as const),
);

test.each(lists)('%s/%s: every wheel by hash, every requirement in its version', (kind, file) => {
  const locked = requirements(read(join('python', 'locked', kind, file)));
  expect(locked.filter((line) => !/^[\w.-]+==\S+ --hash=sha256:[0-9a-f]{64}$/.test(line))).toEqual([]);
  const versions = locked.map((line) => line.replace(/(\+cpu)? --hash.*$/, '').toLowerCase());
  const python = Number(/cp3(\d+)/.exec(kind)?.[1]);
  const wanted = ['requirements.txt', file]
    .flatMap((name) => requirements(read(join('python', name))))
    .filter((line) => !line.startsWith('-r') && appliesTo(line, python))
    .map((line) => line.replace(/;.*$/, '').trim());
  expect(wanted.length).toBeGreaterThan(3);
  expect(wanted.filter((line) => !versions.includes(line))).toEqual([]);
});

function requirements(text: string): string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

/** Whether a requirement applies to Python 3.`minor`; the only conditions there are name a version of it. */
function appliesTo(line: string, minor: number): boolean {
  const condition = /; python_version (<|>=) '3\.(\d+)'/.exec(line);
  if (!condition) return true;
  return condition[1] === '<' ? minor < Number(condition[2]) : minor >= Number(condition[2]);
}
