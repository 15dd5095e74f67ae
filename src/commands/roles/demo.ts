/** `emeth demo`: runs the whole system on this machine and judges how it ended. */
import { resolve } from 'node:path';
import writeFile from 'write-file-atomic';
import { openAdminClient } from '../../admin/client';
import { stopSignal } from '../../app/context';
import type { DemoCheat } from '../../demo/cheat';
import { runDemo } from '../../demo/demo';
import type { DemoJobName } from '../../demo/jobs';
import { type DemoSummary, findShortfalls } from '../../demo/summary';
import { formatEmt } from '../../domain/emt';
import { AppError } from '../../lib/errors';
import { findPython } from '../../runner/python';
import { requireData } from '../../terminal/data-file';
import { openLiveLines } from '../../terminal/live-lines';
import { printLines, talk } from '../../terminal/print';

interface DemoCommandOptions {
  job: DemoJobName;
  dataset?: string | undefined;
  workers: number;
  rounds?: number | undefined;
  cheat?: DemoCheat | undefined;
  keep?: boolean | undefined;
  json?: string | undefined;
  dataDir?: string | undefined;
}

/** Beside what set-up keeps there. */
const CACHE = resolve(__dirname, '..', '..', '..', '.cache');

export async function demo(options: DemoCommandOptions): Promise<void> {
  if (options.dataset !== undefined) {
    if (options.job !== 'text') throw datasetUnused(options.job);
    await requireData('--dataset', options.dataset);
  }
  const signal = stopSignal();
  await findPython();
  const home = resolve(options.dataDir ?? '.demo');
  const { job, workers, rounds, dataset, cheat } = options;
  const paths = { dir: resolve(home, 'run'), modelDir: resolve(home, 'model'), cacheDir: CACHE };
  await runDemo(
    { ...paths, job, workers, rounds, cheat, dataset: dataset === undefined ? undefined : resolve(dataset) },
    {
      report: (line) => talk(`• ${line}`),
      view: openLiveLines(),
      openAdmin: openAdminClient,
      signal,
      async onDone(summary, masterUrl) {
        showSummary(summary);
        if (options.json !== undefined) await writeFile(resolve(options.json), `${JSON.stringify(summary, null, 2)}\n`);
        const shortfalls = findShortfalls(summary);
        if (shortfalls.length > 0) {
          throw new AppError({ code: 'demo/fell-short', shortfalls }, `The demo fell short: ${shortfalls.join('; ')}.`);
        }
        if (options.keep) await keepRunning(masterUrl, signal);
      },
    },
  );
}

function datasetUnused(job: DemoJobName): AppError {
  const detail = { code: 'usage/dataset-unused' as const, job };
  return new AppError(detail, `The job ${job} brings its own data; leave out --dataset, or --job.`);
}

function showSummary(summary: DemoSummary): void {
  const { validationLoss, ledger } = summary;
  printLines(
    '',
    `job     ${summary.jobId} is ${summary.status}: ${summary.rounds} rounds, ${summary.seconds} s in all`,
    `loss    ${validationLoss.start.toFixed(3)} → ${validationLoss.end.toFixed(3)} nats per token on the held-out part`,
    `ledger  ${ledger.blocks} blocks in ${ledger.epochs} ${ledger.epochs === 1 ? 'pass' : 'passes'}, each merged ${ledger.minMerged} to ${ledger.maxMerged} times`,
    `audits  ${auditLine(summary)}`,
    `busy    ${busyLine(summary)}`,
    ...summary.cheats.map(
      ({ kind, notes, mergedTokens, paidTokens }) =>
        `cheat   ${kind}: ${notes.length} warnings, ${mergedTokens} tokens merged, ${paidTokens} paid`,
    ),
    '',
    ...summary.balances.map(
      ({ role, before, after }) =>
        `  ${role.padEnd(16)} ${formatEmt(BigInt(before)).padStart(26)} → ${formatEmt(BigInt(after)).padStart(26)}`,
    ),
    ...summary.rewards.map(
      ({ slot, amountWei }) =>
        `  ${'minted'.padEnd(16)} ${formatEmt(BigInt(amountWei)).padStart(26)}   reward of the node for day ${slot}`,
    ),
    '',
    ...summary.sample.split('\n').map((line) => `  ${line}`),
    '',
    `model   ${summary.modelDir} (${summary.loadedBy})`,
  );
}

function busyLine({ utilisation }: DemoSummary): string {
  const parts = utilisation.map(
    ({ role, part }) => `${role} ${part === undefined ? '–' : `${Math.round(100 * part)} %`}`,
  );
  return `${parts.join(', ')} of the time since it was ready for the job`;
}

function auditLine({ audits: { leases, drawn, passed, failed } }: DemoSummary): string {
  const outcome = failed === 0 && passed === drawn ? 'all equal' : `${passed} equal, ${failed} different`;
  return `${drawn} of ${leases} leases audited, ${outcome}`;
}

async function keepRunning(masterUrl: string, signal: AbortSignal): Promise<void> {
  talk(`Everything is still running; the master is at ${masterUrl}. Ctrl-C ends it.`);
  // A pending promise alone would not keep the process alive.
  const heartbeat = setInterval(() => undefined, 60_000);
  await new Promise<void>((done) => signal.addEventListener('abort', () => done(), { once: true }));
  clearInterval(heartbeat);
}
