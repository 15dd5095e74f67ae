/**
 * Shows that the tests notice mistakes in the node: plants one bug after another in a copy of the project,
 * and runs the test that has to fail.
 *
 *     npm run planted -- [--only PATTERN] [--list]
 *
 * Exits 1 when a bug is not noticed, or a test fails without any.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type PlantedBug, plantedBugs } from '../test/planted/bug';
import { openScratch } from '../test/support/scratch';
import { applyChange } from '../test/support/source-change';

const root = join(__dirname, '..');
const copied = ['src', 'test', 'python', 'scripts', 'package.json', 'jest.config.cjs', 'tsconfig.json'];
const TIMEOUT_MS = 240_000;
const linked = ['node_modules', '.venv', '.cache'];

const Report = z.object({
  testResults: z.array(z.object({ assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })) })),
});

/** Runs test files, or one test of one, in the copy; returns the names of those that passed and failed. */
async function runTests(dir: string, files: readonly string[], name?: string) {
  const report = join(dir, 'report.json');
  rmSync(report, { force: true });
  const only = name === undefined ? [] : ['-t', `${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`];
  const args = [
    join('node_modules', '.bin', 'jest'),
    ...files,
    ...only,
    '--json',
    `--outputFile=${report}`,
    '-i',
    '--forceExit',
  ];
  const jest = spawn(process.execPath, args, { cwd: dir, stdio: 'ignore', timeout: TIMEOUT_MS });
  await once(jest, 'close');
  // A bug may make a test wait for ever.
  if (!existsSync(report)) return { passed: [], failed: files.map(() => name ?? '') };
  const { testResults } = Report.parse(JSON.parse(readFileSync(report, 'utf8')));
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  const having = (status: string) => results.filter((test) => test.status === status).map(({ fullName }) => fullName);
  return { passed: having('passed'), failed: having('failed') };
}

/** Whether the bug's test fails with it, and passes without it. */
async function tryBug(dir: string, bug: PlantedBug): Promise<'found' | 'missed' | 'fails without it'> {
  const path = join(dir, bug.file);
  const source = readFileSync(path, 'utf8');
  const isIn = (names: readonly string[]) => names.some((name) => name.endsWith(bug.testName));
  if (!isIn((await runTests(dir, [bug.test], bug.testName)).passed)) return 'fails without it';
  writeFileSync(path, applyChange(bug, source));
  const { failed } = await runTests(dir, [bug.test], bug.testName);
  writeFileSync(path, source);
  return isIn(failed) ? 'found' : 'missed';
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string', default: '' }, list: { type: 'boolean' } } });
  const bugs = plantedBugs.filter(({ name }) => new RegExp(values.only, 'i').test(name));
  if (values.list) {
    for (const { name, file, testName } of bugs) console.log(`${name} (${file}): ${testName}`);
    return;
  }
  await using scratch = await openScratch();
  for (const path of copied) cpSync(join(root, path), scratch.file(path), { recursive: true });
  for (const path of linked) symlinkSync(join(root, path), scratch.file(path));
  let found = 0;
  for (const bug of bugs) {
    const startedMs = Date.now();
    const outcome = await tryBug(scratch.path, bug);
    if (outcome === 'found') found += 1;
    console.log(
      `${outcome.padEnd(16)} ${bug.name}: ${bug.testName} (${Math.round((Date.now() - startedMs) / 1000)} s)`,
    );
  }
  console.log(`${found} of ${bugs.length} planted bugs found`);
  if (found < bugs.length) process.exitCode = 1;
}

void main();
