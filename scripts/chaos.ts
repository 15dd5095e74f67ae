/**
 * A long run of the whole system in which something is killed or taken away again and again.
 *
 *     npm run chaos -- [--minutes 30] [--mean 60] [--seed N] [--outages 10,40,150]
 *
 * First jobs run undisturbed for a fifth of the time, then with a fault every `mean` seconds on average,
 * drawn from the seed. Last, the queue's database, the disk and the chain are away for so many seconds in
 * each state of a job. Prints the goodput (merged blocks a second beside the undisturbed run), blocks lost
 * or merged twice, the growth of the master's memory, and how soon jobs went on. Exits 1 when a bar is
 * missed.
 */
import { parseArgs } from 'node:util';
import { type ChaosReport, runChaos } from '../test/support/chaos';
import { type OutageReport, runOutages } from '../test/support/chaos-outages';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    mean: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    outages: { type: 'string', default: '' },
  },
});

const MIN_GOODPUT = [
  { meanS: 60, least: 0.9 },
  { meanS: 15, least: 0.6 },
];
const MAX_SLOPE_MB = 1;
const MAX_BACK_MS = 10_000;
const log = (line: string) => process.stderr.write(`${line}\n`);

function missedBars({ goodput, wrongBlocks, unfinished, slopeMb }: ChaosReport, meanS: number): string[] {
  const least = MIN_GOODPUT.find((bar) => meanS >= bar.meanS)?.least ?? 0;
  return [
    ...(goodput < least ? [`goodput ${goodput.toFixed(3)} is below ${least}`] : []),
    ...(wrongBlocks > 0 ? [`${wrongBlocks} blocks were lost or merged twice`] : []),
    ...(unfinished.length > 0 ? [`jobs ended otherwise: ${unfinished.join(', ')}`] : []),
    ...((slopeMb ?? 0) >= MAX_SLOPE_MB ? [`the master grows by ${slopeMb} MB a minute`] : []),
  ];
}

function missedOutages(reports: readonly OutageReport[]): string[] {
  return reports.flatMap(({ what, outageS, state, backMs, end }) => [
    ...(backMs > MAX_BACK_MS ? [`${what} away ${outageS} s, ${state}: went on after ${backMs} ms`] : []),
    ...(end !== 'verified' ? [`${what} away ${outageS} s: the job ended ${end}`] : []),
  ]);
}

async function main(): Promise<void> {
  const [minutes, meanS, seed] = [values.minutes, values.mean, values.seed].map(Number) as [number, number, number];
  const missed: string[] = [];
  if (minutes > 0) {
    const report = await runChaos({ minutes, meanS, seed, log });
    console.log(JSON.stringify({ seed, minutes, meanS, ...report }, null, 2));
    missed.push(...missedBars(report, meanS));
  }
  for (const outageS of values.outages.split(',').filter(Boolean).map(Number)) {
    const reports = await runOutages(outageS, log);
    for (const report of reports) console.log(JSON.stringify(report));
    missed.push(...missedOutages(reports));
  }
  for (const line of missed) console.log(`missed: ${line}`);
  if (missed.length > 0) process.exitCode = 1;
}

void main();
