/** What came out of a run, as a table on the terminal and as docs/mutations.md. */
import Table from 'cli-table3';
import type { Mutation } from './mutation';

export interface Result {
  mutation: Mutation;
  /** `invalid` does not compile: such a mutation has to be written anew. */
  outcome: 'killed' | 'survived' | 'invalid';
  /** The tests that failed. */
  by: string[];
}

export interface Summary {
  killed: number;
  /** Mutations that a test could notice. */
  counted: number;
  score: number;
  survivors: Result[];
  equivalents: Result[];
  /** What is wrong with the list itself. */
  wrong: string[];
}

/** Least part of the mutations that the tests have to notice. */
export const gate = 0.95;

/** Two mutations with one key make the same mistake. */
export const keyOf = ({ file, find, replace }: Mutation): string => JSON.stringify([file, find, replace]);

export function summarise(results: readonly Result[]): Summary {
  const counted = results.filter(({ mutation, outcome }) => !mutation.equivalent && outcome !== 'invalid');
  const killed = counted.filter(({ outcome }) => outcome === 'killed').length;
  const wrong = results.flatMap(({ mutation, outcome, by }) => {
    if (outcome === 'invalid') return [`${mutation.name} does not compile`];
    if (mutation.equivalent && outcome === 'killed') return [`${mutation.name} is not equivalent: ${by[0]} notices it`];
    return [];
  });
  return {
    killed,
    counted: counted.length,
    score: counted.length === 0 ? 0 : killed / counted.length,
    survivors: counted.filter(({ outcome }) => outcome === 'survived'),
    equivalents: results.filter(({ mutation }) => mutation.equivalent),
    wrong,
  };
}

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
  const survivors = summary.survivors.map(({ mutation }) => `survived: ${mutation.name}: ${mutation.why}`);
  const equivalents = summary.equivalents.map(({ mutation }) => `equivalent: ${mutation.name}: ${mutation.equivalent}`);
  return `${[table.toString(), ...survivors, ...equivalents, ...summary.wrong, scoreLine(summary)].join('\n')}\n`;
}

const inCell = (text: string) => text.replaceAll('|', '\\|');

function fileRows(file: string, results: readonly Result[]): string {
  const rows = results
    .filter(({ mutation, outcome }) => mutation.file === file && outcome === 'killed')
    .map((result) => `| ${inCell(result.mutation.name.split('/')[1] ?? '')} | \`${killerOf(result)}\` |`);
  return rows.length === 0 ? '' : `\n### ${file}\n\n| mutation | noticed by |\n| --- | --- |\n${rows.join('\n')}\n`;
}

const listOf = (results: readonly Result[], say: (mutation: Mutation) => string | undefined) =>
  results.map(({ mutation }) => `- ${mutation.name}: ${say(mutation)}\n`).join('') || 'None.\n';

/** docs/mutations.md. */
export function renderReport(results: readonly Result[]): string {
  const summary = summarise(results);
  const files = [...new Set(results.map(({ mutation }) => mutation.file))];
  return `# Do the contracts' tests bite?

\`npx ts-node scripts/mutate-contracts.ts\` makes one small mistake after another in a copy of the contracts and runs forge's tests over
it: unit tests first, then invariants. It writes this page; \`scripts/mutations/\` has the mistakes, each with what it would do to whom.

${scoreLine(summary)}. Gate: ${percent(gate)}.

## Not noticed

${listOf(summary.survivors, ({ why }) => why)}
## Not counted

No test can tell these from the original.

${listOf(summary.equivalents, ({ equivalent }) => equivalent)}
## Noticed, and by which test

Often by more than one; the table names the one that is closest.
${files.map((file) => fileRows(file, results)).join('')}`;
}
