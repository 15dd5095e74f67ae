/**
 * Runs the unit tests of the contracts and prints the lines and branches of each contract that they reach.
 * Fails unless they reach all of them. Takes some minutes, mostly compiling.
 *
 *     npm run coverage:contracts [-- --json] [-- --record]
 *
 * `--record` writes test/contracts/coverage.json: tests measure again only when a source has changed.
 */
import Table from 'cli-table3';
import { type FileCoverage, measureCoverage, recordCoverage } from '../test/support/coverage';

async function main(): Promise<void> {
  const files = await measureCoverage();
  if (process.argv.includes('--record')) recordCoverage(files);
  process.stdout.write(process.argv.includes('--json') ? `${JSON.stringify(files, null, 2)}\n` : `${tableOf(files)}\n`);
  if (files.some(({ lines, branches }) => lines.missed.length + branches.missed.length > 0)) process.exitCode = 1;
}

function tableOf(files: readonly FileCoverage[]): string {
  const table = new Table({
    head: ['contract', 'lines', 'branches', 'not reached, by line'],
    style: { head: [], border: [] },
  });
  const show = ({ reached, all }: FileCoverage['lines']) => `${reached}/${all}`;
  for (const { file, lines, branches } of files) {
    const missed = [...new Set([...lines.missed, ...branches.missed])].sort((a, b) => a - b);
    table.push([file, show(lines), show(branches), missed.join(' ')]);
  }
  return table.toString();
}

void main();
