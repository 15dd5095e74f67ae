/** Crash points: each is passed at one place in the source, and does what the file of its name says. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CrashPoint, crashPoint, crashPoints } from '../../../src/lib/crash-point';
import { openScratch } from '../../support/scratch';

const src = join(__dirname, '..', '..', '..', 'src');
const names: readonly CrashPoint[] = Object.values(crashPoints).flat();

afterEach(() => {
  delete process.env.EMETH_CRASH_POINTS;
});

test('all points of the registry: each is passed at exactly one place', () => {
  const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(src, name), 'utf8'));
  const passed = sources.flatMap((source) => [...source.matchAll(/crashPoint\('([^']+)'\)/g)].map(([, name]) => name));
  expect(passed.sort()).toEqual([...names].sort());
  expect(names.length).toBeGreaterThanOrEqual(30);
});

test('no directory, or no file of the name: nothing happens', async () => {
  crashPoint('fold.final');
  await using scratch = await openScratch();
  process.env.EMETH_CRASH_POINTS = scratch.path;
  crashPoint('fold.final');
});

test('armed to throw at the third passing: the third throws, the fourth does not', async () => {
  await using scratch = await openScratch();
  process.env.EMETH_CRASH_POINTS = scratch.path;
  writeFileSync(scratch.file('fold.final'), 'throw 3');
  crashPoint('fold.final');
  crashPoint('fold.stored');
  crashPoint('fold.final');
  expect(() => crashPoint('fold.final')).toThrow('The point fold.final fails as a test wished.');
  crashPoint('fold.final');
  expect(existsSync(scratch.file('fold.final.met'))).toBe(true);
});
