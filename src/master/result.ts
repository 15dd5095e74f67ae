/** The result of a trained job: the exported model, the manifest and the split of the pay. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type AuditReport, countTokens, hashSeed, leaseKey, missedAudits, reportAudits } from '../domain/audit';
import { nameBase } from '../domain/base-reference';
import { earnedWei, fuelOf } from '../domain/fuel';
import { hasGained } from '../domain/gain';
import type { Address, Sha256 } from '../domain/ids';
import { lossCurve } from '../domain/loss-curve';
import { type CardFacts, describeModel } from '../domain/model-card';
import { inFoldOrder } from '../domain/order';
import { type Share, shareOut } from '../domain/shares';
import { crashPoint } from '../lib/crash-point';
import { AppError } from '../lib/errors';
import { canonicalJson } from '../lib/hash';
import type { ManifestIn } from '../protocol/manifest';
import { publishedBlobs } from '../replay/published';
import type { StoredResult } from '../store/jobs';
import type { JobContext } from './job-context';

export type GainError = { code: 'job/no-gain'; start: number; end: number };

export interface ResultOptions {
  chainId: number;
  contract: Address;
  feeWei: bigint;
  fuelLimit: bigint;
  commissionBps: number;
  /** Returns the root of the payout tree, as the contract computes it. */
  payoutRoot(shares: readonly Share[]): string;
}

/** Exports the trained model and writes the manifest. Repeating it gives the same bytes. */
export async function produceResult(job: JobContext, options: ResultOptions): Promise<StoredResult> {
  const { store, wallet, logger } = job.deps;
  const rounds = await store.rounds.list(job.jobId);
  const last = rounds.at(-1);
  if (!last?.nextTheta) throw new Error(`Job ${job.jobId} has no folded round`);
  const theta = job.deps.blobs.path(last.nextTheta);
  const end = await job.coordinator.run({ type: 'evaluate', model: { theta }, maxSequences: 0 }, 'evaluated');
  crashPoint('model.evaluated');
  job.live.validationLoss = end.loss;
  requireGain(job, end.loss);
  logger.info('Model evaluated', { start: job.plan.startLoss, end: end.loss, perByte: end.lossPerByte });

  const leases = await store.audits.merged(job.jobId);
  const audits = await store.audits.list(job.jobId);
  const counts = countTokens(leases, audits, wallet.address);
  const tokens = new Map([...counts].map(([worker, { paid }]) => [worker, paid]));
  const merged = leases.reduce((sum, lease) => sum + lease.tokens, 0);
  const fuelUsed = fuelOf(merged, options.fuelLimit);
  const shares = shareOut({
    payoutWei: earnedWei(options.feeWei, fuelUsed, options.fuelLimit),
    node: wallet.address,
    commissionBps: options.commissionBps,
    tokens,
  });
  const payoutRoot = options.payoutRoot(shares);
  const records = {
    ...(job.plan.base && { base: job.plan.base }),
    rounds: await roundRecords(job, reportAudits(leases, audits, wallet.address)),
    audits: audits.map(({ leaseId: _, ...audit }) => audit),
    missedAudits: missedAudits(await store.audits.drawn(job.jobId), audits),
    validationLoss: { start: job.plan.startLoss, end: end.loss },
  };
  const model = await exportModel(job, theta, records);
  crashPoint('model.exported');
  const thetaEvery = await job.deps.evidence.thetaEvery(job.jobId);
  const manifest: ManifestIn = {
    format: 'emeth-manifest-2',
    chainId: options.chainId,
    contract: options.contract,
    jobId: job.jobId,
    node: wallet.address,
    dataset: job.plan.dataset,
    params: job.plan.params,
    ...(job.plan.base ? { base: job.plan.base } : {}),
    prepared: job.plan.prepared,
    totalBlocks: job.plan.totalBlocks,
    ...records,
    auditSeed: { hash: hashSeed(job.plan.auditSeed) as Sha256, seed: job.plan.auditSeed },
    ...(thetaEvery === undefined ? {} : { evidence: { thetaEvery } }),
    fuelUsed: Number(fuelUsed),
    model,
    payoutRoot,
    payouts: shares.map(({ amountWei, ...share }) => ({ ...share, amountWei: amountWei.toString() })),
  };
  const written = await job.deps.blobs.addBytes(Buffer.from(canonicalJson(manifest)));
  crashPoint('manifest.written');
  const blobs = [...publishedBlobs(manifest), written.sha256];
  return { manifest: written.sha256, fuelUsed, payoutRoot, shares, blobs };
}

/** A verifier would reject the result, which costs more than to give the job back. */
function requireGain({ plan: { startLoss: start, params } }: JobContext, end: number): void {
  if (hasGained({ start, end }, params)) return;
  throw new AppError<GainError>(
    { code: 'job/no-gain', start, end },
    `Training took the held-out loss from ${start} to ${end}, and the job asks for a fall of more than ${params.minGain}; its result would be rejected.`,
  );
}

async function exportModel(
  job: JobContext,
  theta: string,
  records: Omit<CardFacts, 'jobId' | 'dataset'>,
): Promise<ManifestIn['model']> {
  const { plan, jobId, dir } = job;
  const directory = join(dir, 'model');
  // Of an attempt that came to no end.
  await rm(directory, { recursive: true, force: true });
  const card = describeModel({ ...records, jobId, dataset: plan.dataset });
  const base = plan.base && nameBase(plan.base);
  const command = { type: 'export' as const, theta, directory, card, curve: lossCurve(records), base };
  const { files } = await job.coordinator.run(command, 'exported');
  for (const file of files) await job.deps.blobs.add(join(directory, file.name), { move: false, within: dir });
  return files;
}

async function roundRecords(job: JobContext, { refuted }: AuditReport): Promise<ManifestIn['rounds']> {
  const { store } = job.deps;
  const rounds = await store.rounds.list(job.jobId);
  return Promise.all(
    rounds.map(async (round) => {
      if (!round.nextTheta || !round.delta) throw new Error(`Round ${round.round} of ${job.jobId} is not folded`);
      const leases = (await store.ledger.listLeases(job.jobId, round.round)).filter(
        (lease) => lease.state === 'merged',
      );
      leases.sort(inFoldOrder);
      return {
        round: round.round,
        theta: round.theta,
        nextTheta: round.nextTheta,
        delta: round.delta,
        scale: round.scale ?? 1,
        leases: leases.map((lease) => leaseRecord(lease, refuted.has(leaseKey(lease)))),
        ...(round.resetsOuter ? { resetsOuter: true } : {}),
        ...(round.validationLoss === undefined ? {} : { validationLoss: round.validationLoss }),
      };
    }),
  );
}

type LeaseRow = Awaited<ReturnType<JobContext['deps']['store']['ledger']['listLeases']>>[number];

function leaseRecord(lease: LeaseRow, isRefuted: boolean): ManifestIn['rounds'][number]['leases'][number] {
  const { worker, start, end, shard, work, weight, ordinal, deviceKind } = lease;
  if (!shard || !work || weight === undefined || ordinal === undefined)
    throw new Error(`Merged lease ${lease.leaseId} lacks its evidence`);
  const { update, endTheta, tokens, loss } = work;
  return {
    worker,
    start,
    end,
    shard,
    update: update.sha256,
    endTheta,
    tokens,
    loss,
    weight,
    ordinal,
    isRefuted,
    ...(deviceKind === undefined ? {} : { deviceKind }),
  };
}
