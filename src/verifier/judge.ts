/** Judges one submitted result: fetches all it names, checks every hash, evaluates the model itself. */
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '../domain/ids';
import type { Share } from '../domain/shares';
import { AppError, describeError, errorCode } from '../lib/errors';
import { canonicalJson } from '../lib/hash';
import type { Logger } from '../lib/logger';
import type { ResolvedParams } from '../protocol/job-params';
import type { Manifest } from '../protocol/manifest';
import type { Prepared } from '../protocol/trainer';
import { type Flaw, findFlaw, readManifest, type SubmittedJob } from './manifest-checks';
import { missingReference } from './missing';

/** The verdict on a submitted result. */
export type ResultVerdict =
  | { kind: 'accept'; loss: number }
  | ({ kind: 'reject' } & Flaw)
  /** No verdict is possible now. `missing`: what was found not to exist, by its reference. */
  | { kind: 'unknown'; reason: string; missing?: string | undefined };

export interface JudgeDeps {
  /** Path of this verifier's own copy of a blob. */
  path(sha256: Sha256): string;
  /**
   * Fetches a blob of the result. Throws `blobs/not-stored` if the storage does not have it,
   * `blobs/too-large` if it exceeds the limit.
   */
  fetch(sha256: Sha256, maxBytes: number): Promise<{ bytes: number }>;
  fetchDataset(reference: string): Promise<{ sha256: Sha256; bytes: number }>;
  /** Splits the data as the job's parameters require and evaluates an exported model on the held-out part. */
  evaluate(options: {
    jobId: string;
    params: ResolvedParams;
    dataset: string;
    directory: string;
    workDir: string;
  }): Promise<{ prepared: Prepared; loss: number }>;
  payoutRoot(shares: readonly Share[]): string;
  logger: Logger;
}

export interface JudgeOptions {
  dataDir: string;
  /** Largest accepted difference between the claimed and the measured loss, in nats per token. */
  tolerance: number;
}

const MODEL_FAULT = /^(data\/(empty|not-text|too-small)|model\/(bad-file|bad-directory|other-shape|not-finite))$/;
const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

/**
 * Judges a submitted result from scratch: fetches the manifest and everything it names, checks every hash and
 * sum, prepares the data and evaluates the model itself. Trusts only the chain.
 */
export async function judge(job: SubmittedJob, options: JudgeOptions, deps: JudgeDeps): Promise<ResultVerdict> {
  const workDir = join(options.dataDir, 'jobs', job.jobId);
  try {
    return await judgeIn(workDir, job, options, deps);
  } catch (error) {
    if (error instanceof FlawFound) return { kind: 'reject', ...error.flaw };
    return { kind: 'unknown', reason: describeError(error), missing: missingReference(error, job) };
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

class FlawFound extends Error {
  constructor(readonly flaw: Flaw) {
    super(flaw.reason);
  }
}

async function judgeIn(
  workDir: string,
  job: SubmittedJob,
  options: JudgeOptions,
  deps: JudgeDeps,
): Promise<ResultVerdict> {
  const manifest = await fetchManifest(job, deps);
  const flaw = findFlaw(manifest, job, deps.payoutRoot);
  if (flaw) throw new FlawFound(flaw);
  deps.logger.info('Manifest holds', {
    jobId: job.jobId,
    rounds: manifest.rounds.length,
    payouts: manifest.payouts.length,
  });

  const dataset = await deps.fetchDataset(job.dataset);
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
  const directory = await fetchModel(workDir, manifest, deps);
  const measured = await evaluate(workDir, directory, manifest, deps);
  if (canonicalJson(measured.prepared) !== canonicalJson(manifest.prepared)) {
    reject('verdict/data-root', 'the data was not split as the parameters require');
  }
  const claimed = manifest.validationLoss.end;
  if (!(Math.abs(measured.loss - claimed) <= options.tolerance)) {
    reject('verdict/loss', `the model's loss is ${measured.loss}, not ${claimed}`);
  }
  return { kind: 'accept', loss: measured.loss };
}

async function fetchManifest(job: SubmittedJob, deps: JudgeDeps): Promise<Manifest> {
  const sha256 = job.resultHash.slice(2) as Sha256;
  await orTooLarge(deps.fetch(sha256, MAX_MANIFEST_BYTES), 'verdict/manifest-format', 'the manifest');
  const manifest = readManifest(await readFile(deps.path(sha256)), job);
  if ('code' in manifest) throw new FlawFound(manifest);
  return manifest;
}

async function fetchModel(workDir: string, manifest: Manifest, deps: JudgeDeps): Promise<string> {
  const directory = join(workDir, 'model');
  await mkdir(directory, { recursive: true });
  for (const file of manifest.model) {
    const found = await orTooLarge(deps.fetch(file.sha256, file.bytes), 'verdict/model-files', file.name);
    if (found.bytes !== file.bytes)
      reject('verdict/model-files', `${file.name} has ${found.bytes} bytes, not ${file.bytes}`);
    await copyFile(deps.path(file.sha256), join(directory, file.name));
  }
  return directory;
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

async function evaluate(workDir: string, directory: string, manifest: Manifest, deps: JudgeDeps) {
  try {
    const dataset = deps.path(manifest.dataset.sha256);
    const { jobId, params } = manifest;
    return await deps.evaluate({ jobId, params, dataset, directory, workDir });
  } catch (error) {
    // The child's finding about the data or the model is a verdict; every other failure is this verifier's
    // own.
    if (error instanceof AppError && MODEL_FAULT.test(error.code)) reject('verdict/model-unusable', error.message);
    throw error;
  }
}

function reject(code: string, reason: string): never {
  throw new FlawFound({ code, reason });
}
