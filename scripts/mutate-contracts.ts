/**
 * Shows that the contracts' tests notice mistakes: makes one small mistake after another and records which
 * test fails.
 *
 *     npx ts-node scripts/mutate-contracts.ts [--by unit|invariants] [--only PATTERN] [--jobs N]
 *         [--list] [--json] [--resume]
 *
 * Unit tests and invariants are tried separately; `--by` tries one of them. Writes docs/mutations.md once
 * both have tried every mutation they must. Exits 1 when fewer than 95 % are noticed, or the list itself is
 * wrong. `--resume` continues a run that was stopped, with the tests as they were when it began.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Mutation, mutations } from '../test/contracts/mutations/mutation';
import { renderReport, renderTable } from '../test/contracts/mutations/report';
import { gate, isComplete, isFor, keyOf, phases, type Result, summarise } from '../test/contracts/mutations/score';
import { copyProject, type Phase, resetCopy, runForge, startCompiler } from '../test/contracts/mutations/workshop';
import { applyChange } from '../test/support/source-change';

const scratch = join(tmpdir(), 'emeth-mutants');
const baseOf = (phase: Phase) => join(scratch, `base-${phase}`);
const resultsFile = join(scratch, 'results.jsonl');
const log = (line: string) => process.stderr.write(`${line}\n`);

interface Trial {
  mutation: Mutation;
  phase: Phase;
}

const trialKey = ({ phase, mutation }: Trial): string => `${phase} ${mutation.name}`;

/**
 * Runs the tests without a mutation: they must pass, and everything that no mutation touches is then
 * compiled.
 */
async function prepareBase(phase: Phase, socket: string): Promise<void> {
  const base = baseOf(phase);
  copyProject(base, socket, phase);
  const outcome = await runForge(base, phase);
  if (outcome.kind !== 'ran' || outcome.failed.length > 0) {
    const reason = outcome.kind === 'broken' ? outcome.output.slice(-3000) : JSON.stringify(outcome);
    throw new Error(`The tests fail without any mutation; fix them first (${base}).\n${reason}`);
  }
  log(`${outcome.passed} tests pass without a mutation (${phase})`);
}

async function tryMutation(mutation: Mutation, phase: Phase, dir: string): Promise<Result> {
  const path = join('src', 'contracts', mutation.file);
  const base = baseOf(phase);
  resetCopy(dir, base);
  writeFileSync(join(dir, path), applyChange(mutation, readFileSync(join(base, path), 'utf8')));
  const outcome = await runForge(dir, phase);
  if (outcome.kind === 'endless') return { mutation, phase, outcome: 'killed', by: ['(forge does not end)'] };
  if (outcome.kind === 'broken') {
    log(outcome.output.slice(0, 1500));
    return { mutation, phase, outcome: 'invalid', by: [] };
  }
  return { mutation, phase, outcome: outcome.failed.length > 0 ? 'killed' : 'survived', by: outcome.failed };
}

/** Returns all results so far of mutations that have not changed since. */
function readResults(): Result[] {
  if (!existsSync(resultsFile)) return [];
  const current = new Map(mutations.map((mutation) => [keyOf(mutation), mutation]));
  const lines = readFileSync(resultsFile, 'utf8').trimEnd().split('\n').filter(Boolean);
  const found = new Map<string, Result>();
  for (const line of lines) {
    const result = JSON.parse(line) as Result;
    const mutation = current.get(keyOf(result.mutation));
    if (mutation) found.set(trialKey({ phase: result.phase, mutation }), { ...result, mutation });
  }
  const order = new Map(mutations.map(({ name }, i) => [name, i]));
  return [...found.values()].sort((a, b) => (order.get(a.mutation.name) ?? 0) - (order.get(b.mutation.name) ?? 0));
}

/** Drops the earlier results of these trials, and no others, and prepares the copies. */
async function begin(trials: readonly Trial[], chosen: readonly Phase[], socket: string): Promise<void> {
  const again = new Set(trials.map(trialKey));
  const kept = readResults().filter((result) => !again.has(trialKey(result)));
  mkdirSync(scratch, { recursive: true });
  writeFileSync(resultsFile, kept.map((result) => `${JSON.stringify(result)}\n`).join(''));
  for (const phase of chosen) {
    rmSync(baseOf(phase), { recursive: true, force: true });
    await prepareBase(phase, socket);
  }
}

async function tryAll(trials: readonly Trial[], jobs: number): Promise<void> {
  const known = new Set(readResults().map(trialKey));
  const waiting = trials.filter((trial) => !known.has(trialKey(trial)));
  const total = waiting.length;
  const start = Date.now();
  let tried = 0;
  const note = (result: Result) => {
    appendFileSync(resultsFile, `${JSON.stringify(result)}\n`);
    tried += 1;
    const left = Math.ceil((((Date.now() - start) / tried) * (total - tried)) / 60_000);
    const by = result.by[0] ? ` by ${result.by[0]}` : '';
    log(`[${tried}/${total}, about ${left} min left] ${result.outcome.padEnd(8)} ${result.mutation.name}${by}`);
  };
  const work = async (_: unknown, i: number) => {
    for (let next = waiting.shift(); next; next = waiting.shift())
      note(await tryMutation(next.mutation, next.phase, join(scratch, `job-${i}`)));
  };
  await Promise.all(Array.from({ length: jobs }, work));
}

/** Prints the results and, once they are complete, writes the page. */
function report(trials: readonly Trial[], isJson: boolean): void {
  const results = readResults();
  const wanted = new Set(trials.map(trialKey));
  const asked = results.filter((result) => wanted.has(trialKey(result)));
  process.stdout.write(
    isJson ? `${JSON.stringify({ ...summarise(asked), results: asked }, null, 2)}\n` : renderTable(asked),
  );
  if (isComplete(results)) writeFileSync(join(__dirname, '..', 'docs', 'mutations.md'), renderReport(results));
  const { score, wrong } = summarise(isComplete(results) ? results : asked);
  if ((score < gate && isComplete(results)) || wrong.length > 0) process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      by: { type: 'string' },
      only: { type: 'string' },
      jobs: { type: 'string', default: '1' },
      list: { type: 'boolean' },
      json: { type: 'boolean' },
      resume: { type: 'boolean' },
    },
  });
  const pattern = new RegExp(values.only ?? '', 'i');
  const chosen = phases.filter((phase) => values.by === undefined || values.by === phase);
  if (chosen.length === 0) throw new Error(`There is no phase ${values.by}; --by takes unit or invariants.`);
  const trials = chosen.flatMap((phase) =>
    mutations
      .filter((mutation) => pattern.test(mutation.name) && isFor(phase, mutation))
      .map((mutation) => ({ mutation, phase })),
  );
  if (values.list) {
    for (const { mutation } of trials) process.stdout.write(`${mutation.name}: ${mutation.why}\n`);
    return;
  }
  const socket = `${scratch}.sock`;
  const compiler = await startCompiler(socket);
  try {
    if (!values.resume || !chosen.every((phase) => existsSync(baseOf(phase)))) await begin(trials, chosen, socket);
    await tryAll(trials, Number(values.jobs));
    report(trials, values.json ?? false);
  } finally {
    compiler.kill();
  }
}

void main();
