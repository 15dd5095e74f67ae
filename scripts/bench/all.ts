/**
 * Runs the benchmarks one after the other, and shows what they found as one table.
 *
 *     npm run bench -- [--only link,train] [--quick] [--json found.json] [--write]
 *     npm run bench:quick               # small shapes, about five minutes: whether everything runs
 *
 * Each is `npm run bench:<name>`. `--write` keeps what was found in `docs/benchmarks.json`, beside what other
 * runs have found of other benchmarks, and shows all of it in `docs/benchmarks.md`. Ends with status 1 when a
 * benchmark failed, or a row missed its bar; with `--quick` bars do not count, as shapes are too small.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { BENCHMARKS } from './benchmarks';
import { BenchReport, isMet, tableOf, tell } from './report';
import { ReportBook, showIn } from './report-book';

const root = join(__dirname, '..', '..');
const KEPT = join(root, 'docs', 'benchmarks.json');
const SHOWN = join(root, 'docs', 'benchmarks.md');

/** Runs one benchmark; undefined when it failed. */
async function run(name: string, args: readonly string[]): Promise<BenchReport | undefined> {
  const startedMs = performance.now();
  tell(`\n── ${name} ${'─'.repeat(70 - name.length)}`);
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const child = spawn(npm, ['run', '--silent', `bench:${name}`, '--', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [out] = await Promise.all([text(child.stdout), once(child, 'close')]);
  tell(`${name} took ${Math.round((performance.now() - startedMs) / 1000)} s`);
  const { success, data, error } = BenchReport.safeParse(parse(out.trim().split('\n').at(-1) ?? ''));
  if (!success) tell(`${name} did not end with a report: ${error.message}`);
  return data;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function chosen(): string[] {
  const names = values.only === undefined ? Object.keys(BENCHMARKS) : values.only.split(',');
  const unknown = names.filter((name) => !(name in BENCHMARKS));
  if (unknown.length === 0) return names.filter((name) => !values.quick || BENCHMARKS[name] !== 'slow');
  throw new Error(`There is no benchmark ${unknown.join(', ')}; there are ${Object.keys(BENCHMARKS).join(', ')}`);
}

async function main(): Promise<void> {
  const found: ReportBook = {};
  const failed: string[] = [];
  for (const name of chosen()) {
    const quick = BENCHMARKS[name];
    const report = await run(name, values.quick && quick !== 'slow' && quick ? quick : []);
    if (report) found[name] = report;
    else failed.push(name);
  }
  const rows = Object.values(found).flatMap((report) => report.rows);
  process.stdout.write(`\n${tableOf(rows)}\n`);
  if (failed.length > 0) process.stdout.write(`failed: ${failed.join(', ')}\n`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(found, null, 2)}\n`);
  if (values.write) keep(found);
  if (failed.length > 0 || (!values.quick && !rows.every(isMet))) process.exitCode = 1;
}

/** Puts the reports into the documentation, in place of older ones of the same benchmarks. */
function keep(found: ReportBook): void {
  const book = { ...ReportBook.parse(JSON.parse(readFileSync(KEPT, 'utf8'))), ...found };
  writeFileSync(KEPT, `${JSON.stringify(book, null, 2)}\n`);
  writeFileSync(SHOWN, showIn(readFileSync(SHOWN, 'utf8'), book));
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
void main();
