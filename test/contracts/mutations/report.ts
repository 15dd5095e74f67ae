/** The results of a run, as a table on the terminal and as docs/mutations.md. */
import Table from 'cli-table3';
import type { Mutation } from './mutation';
import { type Reason, reasons } from './reasons';
import { gate, invariantFiles, phases, type Result, type Summary, summarise } from './score';
import { sequences } from './workshop';

/**
 * Returns the test that is closest to the mutation: one of the function it names first, else any but a failed
 * set-up.
 */
function killerOf({ mutation, by }: Result): string {
  const subject = mutation.name.split('/')[1]?.split(' ')[0] ?? '';
  return by.find((test) => test.includes(`_${subject}_`)) ?? by.find((test) => !test.endsWith('.setUp')) ?? by[0] ?? '';
}

const percent = (score: number) => `${(score * 100).toFixed(1)} %`;
const scoreLine = ({ killed, counted, score }: Summary) => `${killed} of ${counted} noticed, ${percent(score)}`;

/** The table that ends a run. */
export function renderTable(results: readonly Result[]): string {
  const summary = summarise(results);
  const table = new Table({ head: ['mutation', 'outcome', 'noticed by'], style: { head: [], border: [] } });
  for (const result of results) table.push([result.mutation.name, result.outcome, killerOf(result).slice(0, 90)]);
  const survivors = summary.survivors.map(({ name, why }) => `survived: ${name}: ${why}`);
  const equivalents = summary.equivalents.map(({ name, equivalent }) => `equivalent: ${name}: ${equivalent}`);
  return `${[table.toString(), ...survivors, ...equivalents, ...summary.wrong, scoreLine(summary)].join('\n')}\n`;
}

const inCell = (text: string) => text.replaceAll('|', '\\|');

function fileRows(file: string, results: readonly Result[]): string {
  const rows = results
    .filter(({ mutation, outcome }) => mutation.file === file && outcome === 'killed')
    .map((result) => `| ${inCell(result.mutation.name.split('/')[1] ?? '')} | \`${killerOf(result)}\` |`);
  return rows.length === 0 ? '' : `\n### ${file}\n\n| mutation | noticed by |\n| --- | --- |\n${rows.join('\n')}\n`;
}

const listOf = (mutations: readonly Mutation[], textOf: (mutation: Mutation) => string | undefined) =>
  mutations.map((mutation) => `- ${mutation.name}: ${textOf(mutation)}\n`).join('') || 'None.\n';

function missedBy(reason: Reason, survivors: readonly Mutation[]): string {
  const missed = survivors.filter(({ missedByInvariants }) => missedByInvariants === reason);
  if (missed.length === 0) return '';
  return `\n### ${reason}: ${missed.length}\n\n${reasons[reason]}\n\n${listOf(missed, ({ why }) => why)}`;
}

/** The chapter about the invariants, run without any other test. */
function renderInvariants(results: readonly Result[]): string {
  const summary = summarise(results);
  const unexplained = summary.survivors.filter(({ missedByInvariants }) => missedByInvariants === undefined);
  const kinds = (Object.keys(reasons) as Reason[]).map((reason) => missedBy(reason, summary.survivors));
  const leftTo = summary.all
    .filter((mutation) => mutation.leftToInvariants)
    .map(({ name }) => name)
    .join(', ');
  const files = invariantFiles.map((file) => `\`${file}\``).join(', ');
  return `## What the invariants alone notice

The two campaigns of \`test/contracts/forge/Invariants.t.sol\` run without any other test, each with ${sequences} sequences of 100 calls and the
same seed for every mutation. They are tried on the files that hold jobs and their money (${files}),
and there on the mutations whose name hashes to a multiple of three, so that nobody chooses which: all of them would take hours. They are
also tried on those that no unit test covers (${leftTo || 'none'}). Where the crowd missed money at the wrong account,
a state or a second claim, it was extended until it reached that, so it is fitted to these mutations and may miss more of others.

${scoreLine(summary)}. What they miss, by the reason:
${kinds.join('')}${unexplained.length === 0 ? '' : `\n### Not explained\n\n${listOf(unexplained, ({ why }) => why)}`}`;
}

/** Returns the text of docs/mutations.md. */
export function renderReport(results: readonly Result[]): string {
  const [unit, invariants] = phases.map((phase) => results.filter((result) => result.phase === phase)) as [
    Result[],
    Result[],
  ];
  const summary = summarise(results);
  const files = [...new Set(unit.map(({ mutation }) => mutation.file))];
  const killed = [...unit, ...invariants.filter(({ mutation }) => !wasNoticed(unit, mutation))];
  return `# Do the contracts' tests bite?

\`npm run mutate:contracts\` makes one small mistake after another in a copy of the contracts and runs forge's tests on it: first the
unit tests alone, then the invariants alone. It writes this page. The mistakes are listed in \`test/contracts/mutations/data/\`, each with the
damage it would do.

- Unit tests and invariants: ${scoreLine(summary)}. Gate: ${percent(gate)}.
- Unit tests alone: ${scoreLine(summarise(unit))}.
- Invariants alone, on the drawn mutations: ${scoreLine(summarise(invariants))}.

## Not noticed by any

${listOf(summary.survivors, ({ why, unnoticed }) => `${why} ${unnoticed ?? ''}`.trim())}
## Not counted

No test can tell these from the original.

${listOf(summary.equivalents, ({ equivalent }) => equivalent)}
${renderInvariants(invariants)}
## Noticed, and by which test

Often by several tests; the table names the closest one.
${files.map((file) => fileRows(file, killed)).join('')}`;
}

const wasNoticed = (results: readonly Result[], mutation: Mutation) =>
  results.some((result) => result.mutation === mutation && result.outcome === 'killed');
