import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { DemoSummary } from '../../demo/summary';
import { formatEmt } from '../../domain/emt';
import { AppError } from '../../lib/errors';
import { example, wholeNumber } from '../../terminal/options';
import { printLines, talk } from '../../terminal/print';

interface DemoCommandOptions {
  dataset?: string | undefined;
  workers: number;
  rounds?: number | undefined;
  keep?: boolean | undefined;
  json?: string | undefined;
  dataDir?: string | undefined;
}

export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('run the whole system on this machine: chain, master, workers, verifier, one job from request to pay')
    .option('--dataset <file>', 'a text of yours to train on (default: Moby-Dick)')
    .option('--workers <n>', 'worker processes', wholeNumber(1), 2)
    .option('--rounds <n>', 'rounds to train (default: two passes over the text)', wholeNumber(1))
    .option('--keep', 'leave everything running at the end, until Ctrl-C')
    .option('--json <file>', 'write the summary there as JSON')
    .option('--data-dir <dir>', 'where everything is written (default: .demo)')
    .addHelpText('after', example('npm run demo', 'npm run demo -- --rounds 6 --workers 3 --json summary.json'))
    .action(demo);
}

async function demo(options: DemoCommandOptions): Promise<void> {
  const { default: writeFile } = await import('write-file-atomic');
  const { openAdminClient } = await import('../../admin/client.js');
  const { runDemo } = await import('../../demo/demo.js');
  const { openLiveView } = await import('../../demo/live-view.js');
  const { findShortfalls } = await import('../../demo/summary.js');
  const { findPython } = await import('../../runner/python.js');
  const { stopSignal } = await import('../../app/context.js');
  const { requireText } = await import('../../terminal/text-file.js');
  if (options.dataset !== undefined) await requireText('--dataset', options.dataset);
  const signal = stopSignal();
  await findPython();
  const home = resolve(options.dataDir ?? '.demo');
  const { workers, rounds, dataset } = options;
  const paths = { dir: resolve(home, 'run'), modelDir: resolve(home, 'model') };
  await runDemo(
    { ...paths, workers, rounds, dataset: dataset === undefined ? undefined : resolve(dataset) },
    {
      say: (line) => talk(`• ${line}`),
      view: openLiveView(process.stderr),
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

function showSummary(summary: DemoSummary): void {
  const { validationLoss, ledger } = summary;
  printLines(
    '',
    `job     ${summary.jobId} is ${summary.status}: ${summary.rounds} rounds, ${summary.seconds} s in all`,
    `loss    ${validationLoss.start.toFixed(3)} → ${validationLoss.end.toFixed(3)} nats per token on the held-out part`,
    `ledger  ${ledger.blocks} blocks in ${ledger.epochs} passes, each merged ${ledger.minMerged} to ${ledger.maxMerged} times`,
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
    `model   ${summary.modelDir} (loads with AutoModelForCausalLM.from_pretrained)`,
  );
}

async function keepRunning(masterUrl: string, signal: AbortSignal): Promise<void> {
  talk(`Everything is still running; the master is at ${masterUrl}. Ctrl-C ends it.`);
  // A pending promise alone would not keep the process alive.
  const heartbeat = setInterval(() => undefined, 60_000);
  await new Promise<void>((done) => signal.addEventListener('abort', () => done(), { once: true }));
  clearInterval(heartbeat);
}
