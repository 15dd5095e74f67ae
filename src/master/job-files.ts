/** What a job leaves on the master's disk, and how it goes when the job is over. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { JobId } from '../domain/ids';
import { isActive } from '../domain/job';
import type { Logger } from '../lib/logger';
import type { JobRow } from '../store/jobs';
import type { JobBlobs, JobStore } from './ports';

interface JobFilesDeps {
  store: { jobs: Pick<JobStore['jobs'], 'find'>; rounds: Pick<JobStore['rounds'], 'evidence'> };
  blobs: Pick<JobBlobs, 'remove'>;
  logger: Logger;
}

/** Where a job's Python child works. */
export function jobDir(dataDir: string, jobId: JobId): string {
  return join(dataDir, 'jobs', jobId);
}

/**
 * Leaves the model and its manifest; the evidence of a finished job is no longer needed. The folder goes
 * last, so that one that is still there shows what is left to do.
 */
export async function removeJobFiles(
  dataDir: string,
  job: Pick<JobRow, 'id' | 'result'>,
  { store, blobs, logger }: JobFilesDeps,
): Promise<void> {
  const kept = new Set(job.result?.blobs);
  const evidence = (await store.rounds.evidence(job.id)).filter((sha256) => !kept.has(sha256));
  for (const sha256 of evidence) await blobs.remove(sha256);
  await rm(jobDir(dataDir, job.id), { recursive: true, force: true });
  logger.info('Job files removed', { jobId: job.id, blobs: evidence.length });
}

/** Removes what is left of jobs that were over when the process was killed, before their files were gone. */
export async function removeLeftFiles(dataDir: string, deps: JobFilesDeps): Promise<void> {
  const names = await readdir(join(dataDir, 'jobs')).catch(() => []);
  for (const name of names) {
    const jobId = JobId.safeParse(name).data;
    const job = jobId && (await deps.store.jobs.find(jobId));
    if (job && !isActive(job.state)) await removeJobFiles(dataDir, job, deps);
  }
}
