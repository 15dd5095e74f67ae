/** What a verifier misses when a result cannot be judged, and how long it goes on asking for it. */
import type { JobId } from '../domain/ids';
import { AppError, errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { SubmittedJob } from './manifest-checks';

export interface MissingDeps {
  /** Puts a signed request where the node and everybody else see it. */
  requestEvidence(jobId: JobId, reference: string): Promise<void>;
  /**
   * True when the storage serves anything else of this job or of other results: it is the right one then, and
   * it can be reached.
   */
  servesOthers(job: SubmittedJob, missing: string): Promise<boolean>;
  logger: Logger;
}

/** The search for what one job's verdict needs. */
export interface Search {
  sinceMs: number;
  reference: string;
  /** Attempts that found it missing. */
  attempts: number;
  isRequested: boolean;
}

/** So many attempts must find it missing, because a storage may be slow to show what was just stored. */
const LEAST_ATTEMPTS = 3;

/**
 * Returns the reference of what a failed attempt found not to exist: a blob that the storage does not have,
 * or has other bytes of, or a data set. Undefined when the failure says nothing about that.
 */
export function missingReference(error: unknown, job: Pick<SubmittedJob, 'dataset'>): string | undefined {
  const detail = error instanceof AppError ? (error.detail as { sha256?: unknown; expected?: unknown }) : {};
  switch (errorCode(error)) {
    case 'blobs/not-stored':
      return `sha256:${String(detail.sha256)}`;
    case 'blobs/hash-mismatch':
      return `sha256:${String(detail.expected)}`;
    case 'dataset/missing':
      return isFixed(job.dataset) && !isNotStored(error) ? undefined : job.dataset;
    case 'dataset/hash-mismatch':
      return job.dataset;
    default:
      return undefined;
  }
}

/** When the search ends: after the configured time, or half of what is left of the window for a verdict. */
export function endOfSearch({ sinceMs }: Search, evidenceMs: number, windowEndMs: number): number {
  return sinceMs + Math.min(evidenceMs, Math.max(0, (windowEndMs - sinceMs) / 2));
}

/**
 * Notes an attempt that found the reference missing, and asks for it where that has not been done. Returns
 * whether the node is to blame by now: only for a reference that names its content, only at the end of the
 * search, and only where the storage still serves other things. The verifier's own trouble is never a reason.
 */
export async function isWithheld(
  search: Search,
  job: SubmittedJob,
  isOver: boolean,
  deps: MissingDeps,
): Promise<boolean> {
  const { jobId } = job;
  const { reference } = search;
  search.attempts += 1;
  if (!search.isRequested) {
    search.isRequested = await deps.requestEvidence(jobId, reference).then(
      () => true,
      (error) => {
        deps.logger.warn('Request for evidence could not be published', { jobId, reference }, error);
        return false;
      },
    );
  }
  if (!isOver || search.attempts < LEAST_ATTEMPTS || !isFixed(reference)) return false;
  if (await deps.servesOthers(job, reference)) return true;
  deps.logger.warn('Evidence is missing, and so is everything else: no verdict; check storageApi', {
    jobId,
    reference,
  });
  return false;
}

function isFixed(reference: string): boolean {
  return reference.startsWith('sha256:');
}

function isNotStored(error: unknown): boolean {
  return error instanceof Error && errorCode(error.cause) === 'blobs/not-stored';
}
