/** The coverage of the contracts by forge’s unit tests. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { sha256 } from '../../src/lib/hash';
import { findForge } from './forge';

interface Part {
  reached: number;
  all: number;
  /** Numbers of the lines that were not reached. */
  missed: number[];
}

export interface FileCoverage {
  /** Within src/contracts. */
  file: string;
  lines: Part;
  branches: Part;
}

/** What was measured, and of what: measuring takes minutes, and the same sources give the same. */
interface CoverageRecord {
  /** sha256 over everything that the measurement depends on. */
  sources: string;
  files: FileCoverage[];
}

const root = join(__dirname, '..', '..');
const recordFile = join(root, 'test', 'contracts', 'coverage.json');
const contracts = 'src/contracts/';
const unitTests = 'test/contracts/forge/unit';
const work = join(root, '.cache', 'forge', 'coverage');
const env = {
  ...process.env,
  FOUNDRY_PROFILE: 'coverage',
  // The plain tests reach everything; few fuzz runs are enough.
  FOUNDRY_FUZZ_RUNS: '32',
  FOUNDRY_TEST: unitTests,
  FOUNDRY_OUT: join(work, 'out'),
  FOUNDRY_CACHE_PATH: join(work, 'cache'),
};

/** Returns the recorded coverage if its sources are the present ones; else measures it. */
export async function coverageOfContracts(): Promise<FileCoverage[]> {
  const record = JSON.parse(readFileSync(recordFile, 'utf8')) as CoverageRecord;
  return record.sources === hashSources() ? record.files : measureCoverage();
}

export function recordCoverage(files: FileCoverage[]): void {
  const record: CoverageRecord = { sources: hashSources(), files };
  writeFileSync(recordFile, `${JSON.stringify(record, null, 2)}\n`);
}

/** Contracts, unit tests, forge's settings, and the versions of compiler, forge and libraries. */
function hashSources(): string {
  const paths = ['src/contracts', 'test/contracts/forge'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.sol'))
      .map((name) => `${folder}/${name}`),
  );
  const texts = [...paths.sort(), 'foundry.toml', 'test/support/coverage.ts'].map((path) => [
    path,
    readFileSync(join(root, path), 'utf8'),
  ]);
  const versions = ['solc', '@foundry-rs/forge', '@openzeppelin/contracts'].map((name) => {
    const { version } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'));
    return [name, version];
  });
  return sha256(JSON.stringify([texts, versions]));
}

/**
 * Measures the lines and branches of each contract that unit tests reach. Takes a minute or two, mostly
 * compiling.
 */
export async function measureCoverage(): Promise<FileCoverage[]> {
  const measured = parseLcov(await runForge())
    .filter(({ file }) => file.startsWith(contracts))
    .map((coverage) => ({ ...coverage, file: coverage.file.slice(contracts.length) }));
  const missing = readdirSync(join(root, contracts)).filter(
    (name) => name.endsWith('.sol') && !measured.some(({ file }) => file === name),
  );
  if (missing.length > 0) throw new Error(`forge did not measure ${missing.join(', ')}; no unit test deploys it.`);
  return measured;
}

/**
 * Compiles with forge's `--ir-minimum`: without the IR the escrow has too many variables; optimized, no lines
 * to map to.
 */
async function runForge(): Promise<string> {
  mkdirSync(work, { recursive: true });
  const report = join(work, 'lcov.info');
  const args = ['coverage', '--ir-minimum', '--exclude-tests', '--match-path', `${unitTests}/*`];
  const forge = spawn(findForge(), [...args, '--report', 'lcov', '--report-file', report], { cwd: root, env });
  const ended = new Promise<number | null>((resolve, reject) => forge.once('error', reject).once('close', resolve));
  const [status, stdout, stderr] = await Promise.all([ended, text(forge.stdout), text(forge.stderr)]);
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
