/**
 * Shows that the contracts' tests bite: makes one small mistake after another and looks which test notices.
 *
 *     npx ts-node scripts/mutate-contracts.ts [--only PATTERN] [--jobs N] [--list] [--json] [--resume]
 *
 * Writes docs/mutations.md after a run over all of them. Exits 1 when fewer than 95 % are noticed, or the list itself is wrong.
 * `--resume` goes on with a run that was stopped, with the tests as they were when it began.
 */
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { mutations } from './mutations';
import { applyMutation, type Mutation } from './mutations/mutation';
import { gate, keyOf, type Result, renderReport, renderTable, summarise } from './mutations/report';
import { copyProject, type Phase, resetCopy, runForge, startCompiler } from './mutations/workshop';

const scratch = join(tmpdir(), 'emeth-mutants');
const base = join(scratch, 'base');
const resultsFile = join(scratch, 'results.jsonl');
const phases: readonly Phase[] = ['unit', 'invariants'];
const say = (line: string) => process.stderr.write(`${line}\n`);

/** The tests must pass before any mistake is made; this also compiles all that no mutation touches. */
async function prepareBase(socket: string): Promise<void> {
  rmSync(resultsFile, { force: true });
  copyProject(base, socket);
  for (const phase of phases) {
    const verdict = await runForge(base, phase);
    if (verdict.kind !== 'ran' || verdict.failed.length > 0) {
      const reason = verdict.kind === 'broken' ? verdict.output.slice(-3000) : JSON.stringify(verdict);
      throw new Error(`The tests fail without any mutation; mend them first (${base}).\n${reason}`);
    }
    say(`${verdict.passed} tests pass without a mutation (${phase})`);
  }
}

async function tryMutation(mutation: Mutation, dir: string): Promise<Result> {
  const path = join('src', 'contracts', mutation.file);
  resetCopy(dir, base);
  writeFileSync(join(dir, path), applyMutation(mutation, readFileSync(join(base, path), 'utf8')));
  for (const phase of phases) {
    const verdict = await runForge(dir, phase);
    if (verdict.kind === 'endless') return { mutation, outcome: 'killed', by: ['(forge does not end)'] };
    if (verdict.kind === 'broken') {
      say(verdict.output.slice(0, 1500));
      return { mutation, outcome: 'invalid', by: [] };
    }
    if (verdict.failed.length > 0) return { mutation, outcome: 'killed', by: verdict.failed };
  }
  return { mutation, outcome: 'survived', by: [] };
}

/** Results of a run that was stopped, of mutations that are still the same. */
function readResults(wanted: readonly Mutation[]): Result[] {
  if (!existsSync(resultsFile)) return [];
  const lines = readFileSync(resultsFile, 'utf8').trimEnd().split('\n');
  const found = new Map(
    lines
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Result)
      .map((r) => [keyOf(r.mutation), r]),
  );
  return wanted.flatMap((mutation) => {
    const result = found.get(keyOf(mutation));
    return result ? [{ ...result, mutation }] : [];
  });
}

async function tryAll(wanted: readonly Mutation[], jobs: number, done: Result[]): Promise<Result[]> {
  const results = [...done];
  const known = new Set(done.map(({ mutation }) => mutation.name));
  const waiting = wanted.filter(({ name }) => !known.has(name));
  const total = waiting.length;
  const start = Date.now();
  const note = (result: Result) => {
    results.push(result);
    appendFileSync(resultsFile, `${JSON.stringify(result)}\n`);
    const tried = results.length - done.length;
    const left = Math.ceil((((Date.now() - start) / tried) * (total - tried)) / 60_000);
    const by = result.by[0] ? ` by ${result.by[0]}` : '';
    say(`[${tried}/${total}, about ${left} min left] ${result.outcome.padEnd(8)} ${result.mutation.name}${by}`);
  };
  const work = async (_: unknown, i: number) => {
    for (let next = waiting.shift(); next; next = waiting.shift())
      note(await tryMutation(next, join(scratch, `job-${i}`)));
  };
  await Promise.all(Array.from({ length: jobs }, work));
  const order = new Map(wanted.map(({ name }, i) => [name, i]));
  return results.sort((a, b) => (order.get(a.mutation.name) ?? 0) - (order.get(b.mutation.name) ?? 0));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      jobs: { type: 'string', default: '1' },
      list: { type: 'boolean' },
      json: { type: 'boolean' },
      resume: { type: 'boolean' },
    },
  });
  const pattern = new RegExp(values.only ?? '', 'i');
  const wanted = mutations.filter(({ name }) => pattern.test(name));
  if (values.list) {
    for (const { name, why } of wanted) process.stdout.write(`${name}: ${why}\n`);
    return;
  }
  const socket = `${scratch}.sock`;
  const compiler = await startCompiler(socket);
  try {
    const resumes = values.resume && existsSync(base);
    if (!resumes) await prepareBase(socket);
    const results = await tryAll(wanted, Number(values.jobs), resumes ? readResults(wanted) : []);
    const summary = summarise(results);
    process.stdout.write(values.json ? `${JSON.stringify({ ...summary, results }, null, 2)}\n` : renderTable(results));
    if (values.only === undefined) writeFileSync(join(__dirname, '..', 'docs', 'mutations.md'), renderReport(results));
    if (summary.score < gate || summary.wrong.length > 0) process.exitCode = 1;
  } finally {
    compiler.kill();
  }
}

void main();
