/** Opens the replay of a job for a command: from the chain and a storage alone. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BaseCache } from '../blobs/base-cache';
import { BlobStore } from '../blobs/blob-store';
import { fetchDataset } from '../blobs/dataset';
import { openReadPass } from '../blobs/read-pass';
import { buildPayouts } from '../chain/acts/payouts';
import type { Chain } from '../chain/rpc/client';
import { type JobId, Sha256 } from '../domain/ids';
import { systemClock as clock } from '../lib/clock';
import { freeBytes } from '../lib/disk';
import { AppError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { MAX_MANIFEST_BYTES, type Manifest } from '../protocol/manifest';
import { type ReplayDeps, type ReplayOptions, type ReplayReport, replayJob } from '../replay/replay';
import { openTrainers } from '../runner/trainers';
import { type Flaw, findFlaw, readManifest, type SubmittedJob } from '../verifier/manifest-checks';
import type { Reader } from './account';
import { openNamedBase } from './base-opener';
import { openBlobReader } from './blob-reader';
import { describeSubmitted, findRequest, requireSubmission } from './chain-job';
import { hubOf } from './hub-place';
import { jobSources } from './job-sources';
import { placesOf } from './places';
import { replayDeps } from './replay-deps';

export type ReplayError =
  | { code: 'replay/bad-manifest'; jobId: JobId; flaw: string }
  | { code: 'replay/other-data'; jobId: JobId; dataset: string };

/** A job that can be repeated: its manifest, checked against the chain, and a way to fetch the rest. */
export interface OpenedReplay extends AsyncDisposable {
  readonly manifest: Manifest;
  readonly manifestHash: string;
  run(options: RunOptions): Promise<ReplayReport>;
}

type RunOptions = Pick<ReplayOptions, 'isRedone' | 'lastRound' | 'threads' | 'device'> & Pick<ReplayDeps, 'onProgress'>;

/** As the default of a verifier. */
const LOSS_TOLERANCE = 0.01;

/** Throws `result/not-found`, `replay/…` and what fetching throws. */
export async function openReplay(
  reader: Reader,
  jobId: JobId,
  options: { storage?: string | undefined },
  { logger, signal }: { logger: Logger; signal: AbortSignal },
): Promise<OpenedReplay> {
  const { chain, config, dataDir } = reader;
  const places = placesOf(config, options);
  const workDir = join(dataDir, 'replay', jobId);
  const blobs = new BlobStore(join(workDir, 'blobs'));
  const job = await describeJob(chain, jobId);
  const account = await openBlobReader(reader);
  const storage = jobSources(places, account)(job);
  const pass = openReadPass(jobId, account);
  const manifestHash = Sha256.parse(job.resultHash.slice(2));
  const close = () => rm(workDir, { recursive: true, force: true });
  const manifest = await fetchManifest().catch(async (error) => {
    await close();
    throw error;
  });
  const sources = { storage, blobs, clock, logger, signal };

  return {
    manifest,
    manifestHash,
    async run({ onProgress, ...asked }) {
      const { dataset } = manifest;
      const trainers = await openTrainers({ dir: workDir }, logger);
      const where = { ...places, maxBytes: Number.MAX_SAFE_INTEGER, allowFiles: false };
      const found = await fetchDataset(dataset.reference, blobs, where, { signal, pass });
      if (found.sha256 !== dataset.sha256) throw otherData(jobId, dataset.reference);
      using base = await openBase();
      return await replayJob(
        {
          ...asked,
          manifest,
          dataset: blobs.path(dataset.sha256),
          base: base?.path,
          maxDatasetBytes: Number.MAX_SAFE_INTEGER,
          workDir: join(workDir, 'work'),
          redoAtOnce: true,
          lossTolerance: LOSS_TOLERANCE,
        },
        { ...replayDeps({ ...sources, trainers }), onProgress },
      );
    },
    [Symbol.asyncDispose]: close,
  };

  async function openBase() {
    if (!manifest.base) return undefined;
    const root = join(workDir, 'bases');
    const free = () => freeBytes(workDir);
    const bases = new BaseCache({ root, maxBytes: Number.MAX_SAFE_INTEGER, blobs, freeBytes: free });
    return openNamedBase(manifest.base, { bases, blobs, storage, hub: hubOf(config), signal });
  }

  async function fetchManifest(): Promise<Manifest> {
    await storage.download(manifestHash, blobs, MAX_MANIFEST_BYTES, { signal });
    return checked(readManifest(await readFile(blobs.path(manifestHash)), job), job);
  }
}

async function describeJob(chain: Chain, jobId: JobId): Promise<SubmittedJob> {
  const submission = await requireSubmission(chain, jobId);
  const request = await findRequest(chain, jobId);
  if (!request) throw new Error(`The chain has no request of job ${jobId}`);
  return describeSubmitted(chain, request, submission);
}

/** Throws `replay/bad-manifest`. */
function checked(read: Manifest | Flaw, job: SubmittedJob): Manifest {
  const flaw = 'code' in read ? read : findFlaw(read, job, (shares) => buildPayouts(shares).root);
  if (!('code' in read) && !flaw) return read;
  throw new AppError<ReplayError>(
    { code: 'replay/bad-manifest', jobId: job.jobId, flaw: flaw?.code ?? '' },
    `The result of job ${job.jobId} is not what its manifest must be: ${flaw?.reason} (${flaw?.code}).`,
  );
}

function otherData(jobId: JobId, dataset: string): AppError<ReplayError> {
  return new AppError(
    { code: 'replay/other-data', jobId, dataset },
    `${dataset} now has other data than job ${jobId} was trained on, so it cannot be repeated.`,
  );
}
