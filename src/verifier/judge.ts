/** Judges one submitted result: fetches all it names, checks every hash, and repeats the work. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HeldBase } from '../blobs/base-cache';
import { leaseKey } from '../domain/audit';
import type { Sha256 } from '../domain/ids';
import { drawLeases } from '../domain/lease-draw';
import type { Share } from '../domain/shares';
import { crashPoint } from '../lib/crash-point';
import { describeError, errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { BaseRecord } from '../protocol/base';
import { MAX_MANIFEST_BYTES, type Manifest } from '../protocol/manifest';
import { failedLeases } from '../replay/audited';
import type { ReplayOptions, ReplayReport } from '../replay/replay';
import { type Flaw, findFlaw, readManifest, type SubmittedJob } from './manifest-checks';
import { missingReference } from './missing';
import type { Rejection } from './rejection';

/** The verdict on a submitted result. */
export type ResultVerdict =
  | { kind: 'accept'; loss: number }
  | ({ kind: 'reject' } & Rejection)
  /** No verdict is possible now. `missing`: what was found not to exist, by its reference. */
  | { kind: 'unknown'; reason: string; missing?: string | undefined };

export interface JudgeDeps {
  /** Path of this verifier's own copy of a blob. */
  path(sha256: Sha256): string;
  /**
   * Fetches a blob of the result. Throws `blobs/not-stored` if no storage has it,
   * `blobs/too-large` if it exceeds the limit.
   */
  fetch(sha256: Sha256, maxBytes: number, job: SubmittedJob): Promise<{ bytes: number }>;
  fetchDataset(reference: string, job: SubmittedJob): Promise<{ sha256: Sha256; bytes: number }>;
  /** Returns the seed of the draw of leases: known to nobody before the result was submitted. */
  drawSeed(job: SubmittedJob): Promise<string>;
  /** Returns the base that a manifest names. Throws `base/…`, and `blobs/…` as `fetch` does. */
  openBase(base: BaseRecord, job: SubmittedJob): Promise<HeldBase>;
  replay(options: JudgedReplay, job: SubmittedJob): Promise<ReplayReport>;
  payoutRoot(shares: readonly Share[]): string;
  logger: Logger;
}

/** What a judge decides of a replay; the rest is the machine's. */
export type JudgedReplay = Pick<
  ReplayOptions,
  'manifest' | 'dataset' | 'base' | 'workDir' | 'isRedone' | 'lossTolerance'
>;

export interface JudgeOptions {
  dataDir: string;
  /** Largest accepted difference between the claimed and the measured loss, in nats per token. */
  tolerance: number;
}

/**
 * Judges a submitted result from scratch: fetches the manifest and everything it names, checks every hash and
 * sum, repeats all folds and some of the leases, and evaluates the model itself. Trusts only the chain.
 */
export async function judge(job: SubmittedJob, options: JudgeOptions, deps: JudgeDeps): Promise<ResultVerdict> {
  try {
    return await judgeFrom(job, options, deps);
  } catch (error) {
    if (error instanceof FlawFound) return { kind: 'reject', ...error.flaw };
    return { kind: 'unknown', reason: describeError(error), missing: missingReference(error, job) };
  }
}

/** What is wrong with a base itself; all else is trouble on the way to it. */
const BASE_FAULT = /^base\/(bad-list|other-files)$/;

class FlawFound extends Error {
  constructor(readonly flaw: Flaw) {
    super(flaw.reason);
  }
}

async function judgeFrom(job: SubmittedJob, options: JudgeOptions, deps: JudgeDeps): Promise<ResultVerdict> {
  const manifest = await fetchManifest(job, deps);
  const flaw = findFlaw(manifest, job, deps.payoutRoot);
  if (flaw) throw new FlawFound(flaw);
  crashPoint('manifest.held');
  deps.logger.info('Manifest holds', {
    jobId: job.jobId,
    rounds: manifest.rounds.length,
    payouts: manifest.payouts.length,
  });

  const dataset = await deps.fetchDataset(job.dataset, job);
  if (dataset.sha256 !== manifest.dataset.sha256) {
    // A hash in the reference was compared before. Without one, the server may have changed the data since,
    // so nothing is proven against the node.
    throw new Error(
      `${job.dataset} now has other data than the model was trained on; only a reference with a hash could prove which are right`,
    );
  }
  if (dataset.bytes !== manifest.dataset.bytes) {
    reject('verdict/dataset', `the data set has ${dataset.bytes} bytes, not ${manifest.dataset.bytes}`);
  }
  await fetchModel(job, manifest, deps);
  crashPoint('model.fetched');
  using base = await openBase(job, manifest, deps);
  const report = await replay(job, { manifest, base: base?.path }, options, deps);
  crashPoint('replay.done');
  if (report.difference) return { kind: 'reject', ...report.difference };
  if (!report.losses) throw new Error('The replay measured no loss');
  return { kind: 'accept', loss: report.losses.end };
}

/** Repeats the job, and some of its leases, drawn so that nobody knew them while the job ran. */
async function replay(
  job: SubmittedJob,
  { manifest, base }: Pick<JudgedReplay, 'manifest' | 'base'>,
  options: JudgeOptions,
  deps: JudgeDeps,
) {
  const { jobId } = job;
  const leases = manifest.rounds.flatMap(({ round, leases: merged }) => merged.map((lease) => ({ ...lease, round })));
  const paid = leases.filter(({ isRefuted }) => !isRefuted);
  const drawn = new Set(drawLeases(await deps.drawSeed(job), jobId, paid).map(leaseKey));
  // A refutation takes a worker's pay, so every one is looked at.
  for (const key of failedLeases(manifest)) drawn.add(key);
  deps.logger.info('Leases drawn to be done again', { jobId, leases: [...drawn] });
  const judged = {
    manifest,
    dataset: deps.path(manifest.dataset.sha256),
    base,
    workDir: join(options.dataDir, 'jobs', jobId),
    isRedone: (lease: { round: number; start: number }) => drawn.has(leaseKey(lease)),
    lossTolerance: options.tolerance,
  };
  return deps.replay(judged, job);
}

async function fetchManifest(job: SubmittedJob, deps: JudgeDeps): Promise<Manifest> {
  const sha256 = job.resultHash.slice(2) as Sha256;
  await orTooLarge(deps.fetch(sha256, MAX_MANIFEST_BYTES, job), 'verdict/manifest-format', 'the manifest');
  const manifest = readManifest(await readFile(deps.path(sha256)), job);
  if ('code' in manifest) throw new FlawFound(manifest);
  return manifest;
}

/** The node names list and size of the base, so it answers for what is not so. */
async function openBase(job: SubmittedJob, { base }: Manifest, deps: JudgeDeps): Promise<HeldBase | undefined> {
  if (!base) return undefined;
  return deps.openBase(base, job).catch((error: unknown) => {
    if (!BASE_FAULT.test(errorCode(error))) throw error;
    return reject('verdict/base', describeError(error));
  });
}

/** The requester must be able to get the model; what is in it follows from the replay. */
async function fetchModel(job: SubmittedJob, manifest: Manifest, deps: JudgeDeps): Promise<void> {
  for (const file of manifest.model) {
    const found = await orTooLarge(deps.fetch(file.sha256, file.bytes, job), 'verdict/model-files', file.name);
    if (found.bytes !== file.bytes)
      reject('verdict/model-files', `${file.name} has ${found.bytes} bytes, not ${file.bytes}`);
  }
}

/** Rejects a file that exceeds its size limit: the node named it, so the node answers for it. */
async function orTooLarge<T>(fetching: Promise<T>, code: string, name: string): Promise<T> {
  try {
    return await fetching;
  } catch (error) {
    if (errorCode(error) !== 'blobs/too-large') throw error;
    return reject(code, `${name} is too large: ${describeError(error)}`);
  }
}

function reject(code: string, reason: string): never {
  throw new FlawFound({ code, reason });
}
