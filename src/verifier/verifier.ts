/** The verifier's queue: judges submitted results one after another and attests each verdict on chain. */
import type { JobId } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { never } from '../lib/errors';
import { sha256 } from '../lib/hash';
import type { Logger } from '../lib/logger';
import { type JudgeDeps, type JudgeOptions, judge, type ResultVerdict } from './judge';
import type { SubmittedJob } from './manifest-checks';

export interface VerifierDeps extends JudgeDeps {
  /** Returns whether the result still waits for a verdict on chain. */
  isSubmitted(jobId: JobId): Promise<boolean>;
  accept(job: SubmittedJob): Promise<void>;
  reject(job: SubmittedJob, reasonHash: string): Promise<void>;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

export interface Verifier {
  /** Queues a submitted result; a result that is queued already stays as it is. */
  onSubmitted(job: SubmittedJob): void;
  /** Judges until the signal. */
  run(): Promise<void>;
}

type Settled = Exclude<ResultVerdict, { kind: 'unknown' }>;

interface Pending {
  job: SubmittedJob;
  dueMs: number;
  /** Attempts without a verdict; each makes the next one wait longer. */
  failures: number;
  /** Attempts that found the evidence absent. */
  absent: number;
  /** A verdict that is not on chain yet; the result is not judged again. */
  settled?: Settled | undefined;
}

const POLL_MS = 500;
const FIRST_RETRY_MS = 5000;
const LAST_RETRY_MS = 5 * 60_000;
/**
 * A storage may be slow to show what was just stored, so absent evidence is a reason to reject only after
 * this many attempts (some minutes).
 */
const ABSENT_ATTEMPTS = 6;

/** Opens a verifier. Failures of the verifier itself never cause a rejection. */
export function openVerifier(options: JudgeOptions, deps: VerifierDeps): Verifier {
  const { clock, logger, signal } = deps;
  const pending = new Map<JobId, Pending>();

  async function step(): Promise<void> {
    const due = [...pending.values()].find((entry) => clock.now() >= entry.dueMs);
    if (!due) return clock.sleep(POLL_MS, signal);
    try {
      if (await isDone(due)) pending.delete(due.job.jobId);
    } catch (error) {
      if (signal.aborted) return;
      logger.warn('Verifying failed; trying again', { jobId: due.job.jobId }, error);
      postpone(due);
    }
  }

  /** Returns true when the job needs no more attempts. */
  async function isDone(entry: Pending): Promise<boolean> {
    const { job } = entry;
    if (!(await deps.isSubmitted(job.jobId))) return true;
    entry.settled ??= await attempt(entry);
    if (!entry.settled) return false;
    await attest(job, entry.settled);
    return true;
  }

  async function attempt(entry: Pending): Promise<Settled | undefined> {
    const { job } = entry;
    logger.info('Judging', { jobId: job.jobId, node: job.node });
    const verdict = await judge(job, options, deps);
    if (verdict.kind !== 'unknown') return verdict;
    signal.throwIfAborted();
    logger.warn('No verdict yet', { jobId: job.jobId, reason: verdict.reason });
    postpone(entry);
    if (!verdict.isAbsent) return undefined;
    entry.absent += 1;
    if (entry.absent < ABSENT_ATTEMPTS) return undefined;
    return { kind: 'reject', code: 'verdict/evidence-absent', reason: verdict.reason };
  }

  async function attest(job: SubmittedJob, verdict: Settled): Promise<void> {
    const { jobId } = job;
    switch (verdict.kind) {
      case 'accept':
        await deps.accept(job);
        return logger.info('Accepted', { jobId, loss: verdict.loss });
      case 'reject': {
        const { code, reason } = verdict;
        logger.warn('Rejecting', { jobId, code, reason });
        await deps.reject(job, `0x${sha256(`${code}: ${reason}`).slice(0, 32)}`);
        return logger.warn('Rejected', { jobId, code });
      }
      default:
        return never(verdict);
    }
  }

  function postpone(entry: Pending): void {
    entry.dueMs = clock.now() + Math.min(FIRST_RETRY_MS * 2 ** entry.failures, LAST_RETRY_MS);
    entry.failures += 1;
  }

  return {
    onSubmitted(job) {
      if (!pending.has(job.jobId)) pending.set(job.jobId, { job, dueMs: clock.now(), failures: 0, absent: 0 });
    },
    async run() {
      while (!signal.aborted) {
        await step().catch((error) => {
          if (!signal.aborted) throw error;
        });
      }
    },
  };
}
