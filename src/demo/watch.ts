/** How the demo waits: for its processes to be ready, and for its job to end. */
import type { JobId } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { AppError } from '../lib/errors';
import type { AdminApi, JobDetails } from '../protocol/admin';

export type DemoError =
  | { code: 'demo/job-lost'; state: string; reason: string }
  | { code: 'demo/process-ended'; name: string }
  | { code: 'demo/not-ready'; what: string; waitedMs: number };

const POLL_MS = 500;
const ENDED = ['verified', 'failed', 'declined', 'skipped'];

/**
 * Waits until `check` holds. Throws `demo/not-ready` after `limitMs`; a check that throws has not held yet.
 */
export async function waitFor(
  what: string,
  check: () => Promise<boolean>,
  { limitMs, clock, signal }: { limitMs: number; clock: Clock; signal: AbortSignal },
): Promise<void> {
  const startedMs = clock.now();
  while (!(await check().catch(() => false))) {
    const waitedMs = clock.now() - startedMs;
    if (waitedMs > limitMs) {
      throw new AppError<DemoError>(
        { code: 'demo/not-ready', what, waitedMs },
        `${what} after ${Math.round(waitedMs / 1000)} s.`,
      );
    }
    await clock.sleep(POLL_MS / 2, signal);
  }
}

/**
 * Shows a job until it is verified and returns its last state. Throws `demo/job-lost` when it ends in any
 * other way.
 */
export async function watchJob(
  admin: Pick<AdminApi, 'job'>,
  jobId: JobId,
  deps: { clock: Clock; signal: AbortSignal; show(job: JobDetails): Promise<void>; assertAlive(): void },
): Promise<JobDetails> {
  for (;;) {
    deps.assertAlive();
    // A master that is busy for a moment is no reason to give up; one that has ended is found above.
    const job = await admin.job(jobId).catch(() => undefined);
    if (job) await deps.show(job);
    if (job?.state === 'verified') return job;
    if (job && ENDED.includes(job.state)) {
      const reason = job.reason ?? 'no reason given';
      throw new AppError<DemoError>(
        { code: 'demo/job-lost', state: job.state, reason },
        `The job ended ${job.state}: ${reason}.`,
      );
    }
    await deps.clock.sleep(POLL_MS, deps.signal);
  }
}
