/** `emeth job`: one job of a master's queue in full. */
import { openQueue, type QueueOptions } from '../../app/queue';
import { formatEmt } from '../../domain/emt';
import type { JobDetails } from '../../protocol/admin';
import { parseJobId } from '../../terminal/arguments';
import { printJson, printLines } from '../../terminal/print';
import { describeSettled } from './describe-settled';

export async function showJob(id: string, options: QueueOptions): Promise<void> {
  const jobId = parseJobId(id);
  await using queue = await openQueue(options);
  const details = await queue.find(jobId);
  if (options.json) return printJson(details);
  printLines(...describe(details));
}

function describe(job: JobDetails): string[] {
  const lines: [string, string | undefined][] = [
    ['job', job.jobId],
    ['state', `${job.state} (on chain: ${job.chainState})`],
    ['reason', job.reason],
    ['waits for', job.waitsFor],
    ['next look', job.lookAtMs === undefined ? undefined : new Date(job.lookAtMs).toISOString()],
    ['requester', job.requester],
    ['dataset', job.dataset],
    ['fee', formatEmt(BigInt(job.feeWei))],
    ['deadline', new Date(job.deadlineMs).toISOString()],
    ['training', job.settled && describeSettled(job.settled)],
    ['progress', describeProgress(job)],
    ['ledger', describeLedger(job)],
    ['workers', job.workers.map((worker) => worker.address).join(' ')],
  ];
  const facts = lines.filter(([, text]) => text).map(([name, text]) => `${name.padEnd(10)} ${text}`);
  const rounds = job.rounds.map(describeRound);
  const history = job.history.map(
    ({ state, atMs, reason }) => `${new Date(atMs).toISOString()}  ${state}${reason ? `  ${reason}` : ''}`,
  );
  return [...facts, ...section('rounds', rounds), ...section('history', history)];
}

function describeProgress({ progress }: JobDetails): string | undefined {
  if (!progress) return undefined;
  const eta = progress.etaSeconds === undefined ? '' : `, ${progress.etaSeconds} s left`;
  return `${progress.mergedBlocks} of ${progress.totalBlocks} blocks, round ${progress.round}${eta}`;
}

function describeLedger({ ledger }: JobDetails): string | undefined {
  if (!ledger) return undefined;
  const { blocks, epochs, minMerged, maxMerged } = ledger;
  return `${blocks} blocks over ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}; each merged ${minMerged} to ${maxMerged} times`;
}

function describeRound({ round, state, updates, validationLoss }: JobDetails['rounds'][number]): string {
  const loss = validationLoss === undefined ? '' : `  validation loss ${validationLoss.toFixed(4)}`;
  return `${String(round).padStart(4)}  ${state}  ${updates} ${updates === 1 ? 'update' : 'updates'}${loss}`;
}

function section(title: string, lines: string[]): string[] {
  return lines.length > 0 ? ['', title, ...lines] : [];
}
