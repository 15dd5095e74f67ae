/** `emeth replay`: repeats a finished job from the chain and storage alone, and says where it differs. */
import Table from 'cli-table3';
import { openCommandLogger, openReader } from '../../app/account';
import { stopSignal } from '../../app/context';
import { type OpenedReplay, openReplay } from '../../app/replay-job';
import { leaseKey } from '../../domain/audit';
import type { JobId } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { Evidence } from '../../protocol/evidence';
import type { Difference } from '../../replay/difference';
import type { CheckedLease, ReplayProgress, ReplayReport } from '../../replay/replay';
import { parseJobId } from '../../terminal/arguments';
import { readJsonFile } from '../../terminal/files';
import { type LiveLines, openLiveLines } from '../../terminal/live-lines';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

export type ReplayCommandError =
  | { code: 'replay/different'; jobId: JobId; difference: Difference }
  | { code: 'usage/no-lease'; lease: string }
  | { code: 'usage/bad-evidence'; path: string; problem: string };

interface ReplayCommandOptions extends CommonOptions {
  full?: boolean | undefined;
  lease?: string | undefined;
  evidence?: string | undefined;
  storage?: string | undefined;
  device: string;
  threads: number;
}

/** Throws `replay/different` when the job does not come out as claimed. */
export async function replayResult(id: string, options: ReplayCommandOptions): Promise<void> {
  const jobId = parseJobId(id);
  const { device, threads } = options;
  const signal = stopSignal();
  const evidence =
    options.evidence === undefined ? undefined : await readJsonFile('--evidence', options.evidence, Evidence);
  await using reader = await openReader(options);
  await using replay = await openReplay(reader, jobId, options, { logger: openCommandLogger(options), signal });
  if (evidence) requireSameResult(evidence, jobId, replay, options.evidence ?? '');
  const view = openLiveLines();
  const report = await replay
    .run({ ...scopeOf(replay, options, evidence), device, threads, onProgress: progressIn(view) })
    .finally(() => view.end());
  if (options.json) printJson({ jobId, manifest: replay.manifestHash, ...report, claim: claimOf(evidence, report) });
  else printReport(replay, report, evidence);
  if (!report.difference) return;
  throw new AppError<ReplayCommandError>(
    { code: 'replay/different', jobId, difference: report.difference },
    `The result of job ${jobId} does not hold: ${report.difference.reason} (${report.difference.code}).`,
  );
}

type Scope = Pick<Parameters<OpenedReplay['run']>[0], 'isRedone' | 'lastRound'>;

/** How far the job is repeated, and which of its leases are done again. Throws `usage/no-lease`. */
function scopeOf(replay: OpenedReplay, options: ReplayCommandOptions, evidence: Evidence | undefined): Scope {
  if (options.full) return { isRedone: () => true };
  if (evidence?.round !== undefined) {
    const { round, lease } = evidence;
    const isNamed = (name: string) => lease !== undefined && name === leaseKey({ round, start: lease.start });
    return { isRedone: (other) => isNamed(leaseKey(other)), lastRound: round };
  }
  const { lease: name } = options;
  if (name === undefined) return { isRedone: () => false };
  const round = replay.manifest.rounds.find(({ round: number, leases }) =>
    leases.some(({ start }) => leaseKey({ round: number, start }) === name),
  );
  if (!round) {
    throw new AppError<ReplayCommandError>(
      { code: 'usage/no-lease', lease: name },
      `The job has no lease ${name}; name it as <round>:<first block>, as --full lists them.`,
    );
  }
  return { isRedone: (other) => leaseKey(other) === name, lastRound: round.round };
}

/** Throws `usage/bad-evidence`. */
function requireSameResult(evidence: Evidence, jobId: JobId, { manifestHash }: OpenedReplay, path: string): void {
  if (evidence.jobId !== jobId) throw badEvidence(path, `it is about job ${evidence.jobId}`);
  if (evidence.manifest !== manifestHash) throw badEvidence(path, `it is about the result ${evidence.manifest}`);
}

function badEvidence(path: string, problem: string): AppError<ReplayCommandError> {
  return new AppError(
    { code: 'usage/bad-evidence', path, problem },
    `${path} (--evidence) cannot be repeated here: ${problem}.`,
  );
}

/** Whether a replay finds what the evidence claims; undefined without evidence. */
function claimOf(evidence: Evidence | undefined, { difference }: ReplayReport): 'holds' | 'does not hold' | undefined {
  if (!evidence) return undefined;
  const isSame =
    difference?.code === evidence.code &&
    difference.round === evidence.round &&
    difference.lease?.start === evidence.lease?.start;
  return isSame ? 'holds' : 'does not hold';
}

function progressIn(view: LiveLines): (progress: ReplayProgress) => void {
  return (progress) => view.show([describeProgress(progress)]);
}

function describeProgress(progress: ReplayProgress): string {
  switch (progress.step) {
    case 'prepare':
      return 'Preparing the data set';
    case 'fold':
      return `Round ${progress.round + 1} of ${progress.rounds} folded: θ is as claimed`;
    case 'lease':
      return `Lease ${progress.lease.name} done again: ${distanceIn(progress.lease)}`;
    case 'losses':
      return 'Evaluating the model';
  }
}

function printReport({ manifest }: OpenedReplay, report: ReplayReport, evidence: Evidence | undefined): void {
  const { theta, rounds, losses, leases, difference } = report;
  if (leases.length > 0) printLeases(leases);
  printLines(`rounds   ${rounds} of ${manifest.rounds.length} folded again, each θ equal bit for bit`);
  if (losses) {
    const { start, end } = manifest.validationLoss;
    printLines(`losses   ${pair(losses)} (nats per token, held-out part; claimed: ${pair({ start, end })})`);
  }
  const claim = claimOf(evidence, report);
  if (claim) printLines(`claim    ${evidence?.code} ${claim}: ${evidence?.reason}`);
  if (!difference) return printLines(`θ ${theta} equal to the manifest's`);
  const { expected, got, measured } = difference;
  printLines(`expected ${expected}`, `got      ${got}`, ...(measured ? [`measured ${measured}`] : []));
}

function printLeases(leases: readonly CheckedLease[]): void {
  const table = new Table({ head: ['lease', 'worker', 'done again on', 'distance'], style: { head: [], border: [] } });
  table.push(...leases.map((lease) => [lease.name, lease.worker, lease.machine, distanceIn(lease)]));
  printLines(table.toString());
}

function distanceIn({ distance, isWithin, isFailed }: CheckedLease): string {
  const tooFar = isFailed ? ', as an audit found' : ', too far';
  if (distance === 0) return 'equal bit for bit';
  return `${distance.toExponential(1)}${isWithin ? '' : tooFar}`;
}

function pair({ start, end }: { start: number; end: number }): string {
  return `${start.toFixed(4)} before, ${end.toFixed(4)} after`;
}
