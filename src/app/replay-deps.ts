/** What a replay needs of this machine: fetched blobs, and Python children. */
import type { BlobStore } from '../blobs/blob-store';
import type { BlobSource } from '../blobs/located-blobs';
import type { Sha256 } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { AppError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ReplayBlobs } from '../replay/folds';
import type { ReplayDeps } from '../replay/replay';
import type { Trainers } from '../runner/trainers';

interface ReplaySources {
  storage: Pick<BlobSource, 'download'>;
  blobs: BlobStore;
  trainers: Pick<Trainers, 'open'>;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

const TOO_MANY_REQUESTS = 429;
const PAUSE_MS = 15_000;
/** A storage counts requests per minute; after this many pauses it refuses for another reason. */
const MAX_PAUSES = 8;

export function replayDeps(sources: ReplaySources): Pick<ReplayDeps, 'blobs' | 'openChild'> {
  const { blobs, trainers } = sources;
  return {
    blobs: {
      fetch: (sha256, maxBytes) => fetchPatiently(sources, sha256, maxBytes),
      path: (sha256) => blobs.path(sha256),
      remove: (sha256) => blobs.remove(sha256),
    },
    openChild: (spec) => trainers.open(spec),
  };
}

/** Fetches a blob, waiting where the storage limits requests: a job has thousands of updates. */
async function fetchPatiently(
  { storage, blobs, clock, signal }: ReplaySources,
  sha256: Sha256,
  maxBytes: number,
): ReturnType<ReplayBlobs['fetch']> {
  for (let pauses = 0; ; pauses++) {
    try {
      return await storage.download(sha256, blobs, maxBytes, { signal });
    } catch (error) {
      if (!isLimited(error) || pauses === MAX_PAUSES) throw error;
      await clock.sleep(PAUSE_MS, signal);
    }
  }
}

function isLimited(error: unknown): boolean {
  if (!(error instanceof AppError)) return false;
  const detail: { code: string; status?: unknown } = error.detail;
  return detail.code === 'blobs/storage-refused' && detail.status === TOO_MANY_REQUESTS;
}
