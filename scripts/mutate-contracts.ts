/**
 * Puts small faults into the contracts, one at a time, and looks whether the forge tests notice. Writes docs/mutations.md.
 *
 *     npm run mutate:contracts [-- --only CreditBook] [-- --list] [-- --json]
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findForge } from '../test/support/forge';
import { type Mutation, mutations } from './mutations';

interface Outcome {
  mutation: Mutation;
  /** `invalid`: it does not compile, so it proves nothing. */
  fate: 'killed' | 'survived' | 'invalid';
  /** Of a killed one: the first test that failed. */
  by?: string | undefined;
}

const root = join(__dirname, '..');
const scratch = join(root, '.cache', 'mutants');
/** Outcomes of earlier runs, so that a part of the list can be tried again. */
const memory = join(root, '.cache', 'mutations.json');
/** Least part, of those that are not equivalent, that must be killed. */
const TARGET = 0.95;
/** Enough to find a fault that unit tests do not look for, and quick. */
const quick = { FOUNDRY_INVARIANT_RUNS: '48', FOUNDRY_INVARIANT_DEPTH: '80', FOUNDRY_FUZZ_RUNS: '128' };

function main(): void {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, list: { type: 'boolean' }, json: { type: 'boolean' } },
  });
  const chosen = mutations.filter((mutation) => keyOf(mutation).includes(values.only ?? ''));
  if (values.list) return say(chosen.map(({ file, name }) => `${file.padEnd(18)} ${name}`).join('\n'));

  prepare();
  say(`Testing the contracts as they are, then ${chosen.length} mutations`);
  const { status, output } = runForge();
  if (status !== 0) throw new Error(`The tests fail without any mutation:\n${output.slice(-4000)}`);

  const startedMs = Date.now();
  const outcomes = chosen.map((mutation, i) => {
    const outcome = tryOne(mutation);
    remember(outcome);
    const perMs = (Date.now() - startedMs) / (i + 1);
    const leftMin = Math.ceil((perMs * (chosen.length - i - 1)) / 60_000);
    say(`${i + 1}/${chosen.length} ${describe(outcome)}   (${leftMin} min left)`);
    return outcome;
  });
  const known = recall();
  if (known.length === mutations.length) writeFileSync(join(root, 'docs', 'mutations.md'), report(known));
  const score = scoreOf(outcomes);
  if (values.json) process.stdout.write(`${JSON.stringify({ ...score, outcomes }, null, 2)}\n`);
  else process.stdout.write(`${summary(outcomes)}\n`);
  if (score.part < TARGET || score.invalid > 0) process.exitCode = 1;
}

/** What became of the mutations that were tried, in this run or an earlier one, in the list's order. */
function recall(): Outcome[] {
  const earlier = existsSync(memory) ? (JSON.parse(readFileSync(memory, 'utf8')) as Outcome[]) : [];
  const byKey = new Map(earlier.map((outcome) => [keyOf(outcome.mutation), outcome]));
  return mutations.flatMap((mutation) => {
    const outcome = byKey.get(keyOf(mutation));
    return outcome ? [{ ...outcome, mutation }] : [];
  });
}

/** Kept at once: a run may be stopped and gone on with by `--only`. */
function remember(outcome: Outcome): void {
  const others = recall().filter(({ mutation }) => keyOf(mutation) !== keyOf(outcome.mutation));
  writeFileSync(memory, JSON.stringify([...others, outcome]));
}

function keyOf({ file, name }: Mutation): string {
  return `${file} ${name}`;
}

/** A copy of what forge needs, so that the sources themselves are never touched. */
function prepare(): void {
  rmSync(scratch, { recursive: true, force: true });
  for (const path of ['src/contracts', 'test/contracts/forge', 'foundry.toml', 'scripts/solc.cjs']) {
    mkdirSync(join(scratch, path, '..'), { recursive: true });
    cpSync(join(root, path), join(scratch, path), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'));
}

function tryOne(mutation: Mutation): Outcome {
  const path = join(scratch, 'src', 'contracts', mutation.file);
  const original = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    original.replace(mutation.find, () => mutation.replace),
  );
  try {
    const { status, output } = runForge();
    if (/Compiler run failed/.test(output)) return { mutation, fate: 'invalid' };
    if (status === 0) return { mutation, fate: 'survived' };
    return { mutation, fate: 'killed', by: firstFailure(output) };
  } finally {
    writeFileSync(path, original);
  }
}

function runForge(): { status: number | null; output: string } {
  const env = { ...process.env, ...quick };
  const { status, stdout, stderr } = spawnSync(findForge(), ['test', '--fail-fast'], {
    cwd: scratch,
    env,
    encoding: 'utf8',
  });
  return { status, output: `${stdout}\n${stderr}` };
}

/** `Contract.test`, of the first suite that failed. */
function firstFailure(output: string): string {
  const suite = /Encountered \d+ failing tests? in \S+:(\w+)/.exec(output)?.[1];
  const test = /\[FAIL[^\n]*\] (\w+)\(/.exec(output)?.[1];
  return [suite, test].filter((part) => part !== undefined).join('.') || 'forge';
}

function scoreOf(outcomes: readonly Outcome[]) {
  const counted = outcomes.filter(({ mutation, fate }) => mutation.equivalent === undefined && fate !== 'invalid');
  const killed = counted.filter(({ fate }) => fate === 'killed').length;
  const invalid = outcomes.filter(({ fate }) => fate === 'invalid').length;
  return { killed, counted: counted.length, invalid, part: counted.length === 0 ? 0 : killed / counted.length };
}

function describe({ mutation, fate, by }: Outcome): string {
  return `${fate.padEnd(8)} ${mutation.file.padEnd(18)} ${mutation.name}${by ? `   ← ${by}` : ''}`;
}

function summary(outcomes: readonly Outcome[]): string {
  const { killed, counted, invalid, part } = scoreOf(outcomes);
  const rest = outcomes.filter(({ fate }) => fate !== 'killed').map(describe);
  return [...rest, `${killed} of ${counted} killed (${(100 * part).toFixed(1)} %), ${invalid} invalid`].join('\n');
}

function report(outcomes: readonly Outcome[]): string {
  const { killed, counted, part } = scoreOf(outcomes);
  const rows = outcomes.map(
    ({ mutation, fate, by }) =>
      `| ${mutation.file} | ${mutation.name} | ${fate} | ${by ?? mutation.equivalent ?? ''} |`,
  );
  return [
    '# Mutations',
    '',
    'Small faults put into the contracts on purpose, and the first forge test that noticed. Made by `npm run mutate:contracts`.',
    '',
    `**${killed} of ${counted} killed (${(100 * part).toFixed(1)} %).** Those that nobody can notice are explained and not counted.`,
    '',
    '| contract | fault | fate | by |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

main();
