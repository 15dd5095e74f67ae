/** The planted-cheat suite whole: every way to cheat against several numbers of workers, as one table. */
/**
 *     npm run cheats -- [--kinds zeros,noise] [--workers 2,3,4] [--rounds 8] [--json FILE]
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { runCheatJob } from '../test/support/cheat-job';
import { type CheatScore, scoreCheat } from '../test/support/cheat-score';
import { cheatKinds, cheatPlans } from '../test/support/cheats';
import { openForkServer } from '../test/support/fork-server';

const { values } = parseArgs({
  options: {
    kinds: { type: 'string', default: cheatKinds.join(',') },
    workers: { type: 'string', default: '2,3,4' },
    rounds: { type: 'string', default: '8' },
    json: { type: 'string' },
  },
});

interface Row extends CheatScore {
  kind: string;
  workers: number;
}

async function main(): Promise<void> {
  await using server = await openForkServer();
  const wanted = values.kinds.split(',');
  const kinds = cheatKinds.filter((kind) => wanted.includes(kind));
  const unknown = wanted.filter((kind) => !cheatKinds.some((known) => known === kind));
  if (unknown.length > 0)
    throw new Error(`No kind is called ${unknown.join(', ')}; there are: ${cheatKinds.join(', ')}.`);
  const rounds = Number(values.rounds);
  const rows: Row[] = [];
  for (const workers of values.workers.split(',').map(Number)) {
    const clean = await runCheatJob({ workers, rounds, python: server.python });
    console.error(`clean, ${workers} workers: ${clean.seconds.toFixed(1)} s, loss ${clean.loss?.end.toFixed(3)}`);
    for (const warning of clean.warnings) console.error(`  ${warning}`);
    for (const kind of kinds) {
      const job = await runCheatJob({ kind, workers, rounds, python: server.python });
      const row = { kind, workers, ...scoreCheat(job, clean, cheatPlans[kind]) };
      rows.push(row);
      console.error(`${kind}, ${workers} workers: ${row.shortfalls.join('; ') || 'as it should be'}`);
      for (const warning of job.warnings) console.error(`  ${warning}`);
    }
  }
  console.log(render(rows));
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(rows, null, 2)}\n`);
  process.exitCode = rows.some(({ shortfalls }) => shortfalls.length > 0) ? 1 : 0;
}

function render(rows: readonly Row[]): string {
  const head = [
    'kind',
    'workers',
    'precision',
    'recall',
    'refused',
    'by audit',
    'pay ÷ honest',
    'loss ÷ clean',
    'time ÷ clean',
    'audit cost',
    'fell short',
  ];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const row of rows) {
    const caught = [show(row.precision), show(row.recall), row.refused, row.refuted];
    const costs = [row.payRatio, row.lossRatio, row.timeRatio, row.auditCost].map(show);
    table.push([row.kind, row.workers, ...caught, ...costs, row.shortfalls.join('\n')]);
  }
  return table.toString();
}

function show(ratio: number | undefined): string {
  return ratio?.toFixed(3) ?? '–';
}

void main();
