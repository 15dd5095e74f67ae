/** What came out of a run, as a table on the terminal and as docs/mutations.md. */
import Table from 'cli-table3';
import type { Mutation } from './mutation';
import { gate, invariantFiles, phases, type Result, type Summary, summarise } from './score';
import { type Reason, reasons, unseen } from './unseen';
import { sequences } from './workshop';

/** Of several tests the one that is about the function that the mutation names first, else one that says more than that nothing works. */
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

const listOf = (mutations: readonly Mutation[], say: (mutation: Mutation) => string | undefined) =>
  mutations.map((mutation) => `- ${mutation.name}: ${say(mutation)}\n`).join('') || 'None.\n';

function missedBy(reason: Reason, survivors: readonly Mutation[]): string {
  const missed = survivors.filter(({ name }) => unseen[name] === reason);
  if (missed.length === 0) return '';
  return `\n### ${reason}: ${missed.length}\n\n${reasons[reason]}\n\n${listOf(missed, ({ why }) => why)}`;
}

/** What the invariants notice with no other test beside them. */
function renderInvariants(results: readonly Result[]): string {
  const summary = summarise(results);
  const unexplained = summary.survivors.filter(({ name }) => unseen[name] === undefined);
  const kinds = (Object.keys(reasons) as Reason[]).map((reason) => missedBy(reason, summary.survivors));
  const leftTo = summary.all
    .filter((mutation) => mutation.leftToInvariants)
    .map(({ name }) => name)
    .join(', ');
  const files = invariantFiles.map((file) => `\`${file}\``).join(', ');
  return `## What the invariants alone notice

The two campaigns of \`test/contracts/forge/Invariants.t.sol\`, each ${sequences} sequences of 100 calls, with the same dice for every
mutation and no other test beside them. They are tried on the files that keep jobs and their money (${files}), and there on the
mutations whose name hashes to a multiple of three: so nobody chooses which, and all of them would take hours. Besides, on those that
no unit test says anything about (${leftTo || 'none'}). Where the crowd missed
money at the wrong account, a state or a second claim, it was taught to come there, so it has been fitted to these; on others it
may miss more.

${scoreLine(summary)}. What they miss, by the reason:
${kinds.join('')}${unexplained.length === 0 ? '' : `\n### Not explained\n\n${listOf(unexplained, ({ why }) => why)}`}`;
}

/** docs/mutations.md. @throws Error when a mutation that nothing notices has no reason. */
export function renderReport(results: readonly Result[]): string {
  const [unit, invariants] = phases.map((phase) => results.filter((result) => result.phase === phase)) as [
    Result[],
    Result[],
  ];
  const summary = summarise(results);
  const files = [...new Set(unit.map(({ mutation }) => mutation.file))];
  const killed = [...unit, ...invariants.filter(({ mutation }) => !wasNoticed(unit, mutation))];
  return `# Do the contracts' tests bite?

\`npx ts-node scripts/mutate-contracts.ts\` makes one small mistake after another in a copy of the contracts and runs forge's tests over
it: the unit tests, and apart from them the invariants. It writes this page; \`test/contracts/mutations/\` has the mistakes, each with what it
would do to whom.

- Unit tests and invariants: ${scoreLine(summary)}. Gate: ${percent(gate)}.
- Unit tests alone: ${scoreLine(summarise(unit))}.
- Invariants alone, where they have to: ${scoreLine(summarise(invariants))}.

## Not noticed by any

${listOf(summary.survivors, ({ why, unnoticed }) => `${why} ${unnoticed ?? ''}`.trim())}
## Not counted

No test can tell these from the original.

${listOf(summary.equivalents, ({ equivalent }) => equivalent)}
${renderInvariants(invariants)}
## Noticed, and by which test

Often by more than one; the table names the one that is closest.
${files.map((file) => fileRows(file, killed)).join('')}`;
}

const wasNoticed = (results: readonly Result[], mutation: Mutation) =>
  results.some((result) => result.mutation === mutation && result.outcome === 'killed');
