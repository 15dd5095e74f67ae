/**
 * Runs the unit tests of the contracts and prints which part of each contract they reach. Fails below all lines and all branches.
 * Takes some minutes, nearly all of them to compile.
 *
 *     npm run coverage:contracts [-- --json]
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Table from 'cli-table3';
import { findForge } from '../test/support/forge';

interface Part {
  reached: number;
  all: number;
  /** Line numbers of what was not reached. */
  missed: number[];
}

interface FileCoverage {
  file: string;
  lines: Part;
  branches: Part;
}

const root = join(__dirname, '..');
const work = join(root, '.cache', 'forge', 'coverage');
/** Numbers from few fuzz runs differ by chance; what counts is reached by the plain tests. */
const few = {
  FOUNDRY_PROFILE: 'coverage',
  FOUNDRY_FUZZ_RUNS: '32',
  FOUNDRY_OUT: join(work, 'out'),
  FOUNDRY_CACHE_PATH: join(work, 'cache'),
};

function main(): void {
  const files = parseLcov(measure()).filter(({ file }) => file.startsWith('src/contracts/'));
  const measured = files.map(({ file }) => file.replace('src/contracts/', ''));
  const missing = readdirSync(join(root, 'src', 'contracts')).filter(
    (n) => n.endsWith('.sol') && !measured.includes(n),
  );
  if (missing.length > 0) throw new Error(`forge did not measure ${missing.join(', ')}; no unit test deploys it.`);
  process.stdout.write(process.argv.includes('--json') ? `${JSON.stringify(files, null, 2)}\n` : `${tableOf(files)}\n`);
  if (files.some(({ lines, branches }) => lines.missed.length + branches.missed.length > 0)) process.exitCode = 1;
}

/** Compiles by forge's `--ir-minimum`: without the IR the escrow has too many variables, and optimized it has no lines to map to. */
function measure(): string {
  mkdirSync(work, { recursive: true });
  const report = join(work, 'lcov.info');
  const args = ['coverage', '--ir-minimum', '--exclude-tests', '--match-path', 'test/contracts/forge/unit/*'];
  const { status, stdout, stderr } = spawnSync(findForge(), [...args, '--report', 'lcov', '--report-file', report], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...few },
  });
  if (status !== 0) throw new Error(`forge coverage failed:\n${stdout.slice(-4000)}\n${stderr.slice(-4000)}`);
  return readFileSync(report, 'utf8');
}

/** Reads `SF:` (file), `DA:line,hits` and `BRDA:line,block,branch,hits or -` of a tracefile. */
function parseLcov(lcov: string): FileCoverage[] {
  return lcov
    .split('end_of_record')
    .map((record) => ({
      file: /^SF:(.*)$/m.exec(record)?.[1] ?? '',
      lines: partOf(record.matchAll(/^DA:(\d+),(\d+)/gm)),
      branches: partOf(record.matchAll(/^BRDA:(\d+),\d+,\d+,(\d+|-)/gm)),
    }))
    .filter(({ file }) => file !== '');
}

function partOf(found: Iterable<RegExpMatchArray>): Part {
  const part: Part = { reached: 0, all: 0, missed: [] };
  for (const [, line, hits] of found) {
    part.all += 1;
    if (Number(hits) > 0) part.reached += 1;
    else part.missed.push(Number(line));
  }
  return part;
}

function tableOf(files: readonly FileCoverage[]): string {
  const table = new Table({
    head: ['contract', 'lines', 'branches', 'not reached, by line'],
    style: { head: [], border: [] },
  });
  const show = ({ reached, all }: Part) => `${reached}/${all}`;
  for (const { file, lines, branches } of files) {
    const missed = [...new Set([...lines.missed, ...branches.missed])].sort((a, b) => a - b);
    table.push([file.replace('src/contracts/', ''), show(lines), show(branches), missed.join(' ')]);
  }
  return table.toString();
}

main();
