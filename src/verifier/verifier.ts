import type { JobId } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import { sha256 } from '../lib/hash';
import type { SubmittedJob } from './checks';
import { type JudgeDeps, type JudgeOptions, judge, type Verdict } from './judge';

export interface VerifierDeps extends JudgeDeps {
  /** Whether the result still waits for a verdict on chain. */
  isSubmitted(jobId: JobId): Promise<boolean>;
  accept(job: SubmittedJob): Promise<void>;
  reject(job: SubmittedJob, reasonHash: string): Promise<void>;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

export interface Verifier {
  /** A result was submitted; it is judged in its turn. Telling it twice changes nothing. */
  onSubmitted(job: SubmittedJob): void;
  /** Judges until the signal. */
  run(): Promise<void>;
}

const POLL_MS = 500;
const RETRY_MS = 15_000;
/** A storage may be slow to show what was just stored: only after so many looks is absent evidence a reason to reject. */
const ABSENT_LOOKS = 8;

interface Pending {
  job: SubmittedJob;
  dueMs: number;
  absent: number;
}

/** Judges submitted results one after another, and tells the chain. Our own trouble never rejects anybody. */
export function openVerifier(options: JudgeOptions, deps: VerifierDeps): Verifier {
  const { clock, logger, signal } = deps;
  const pending = new Map<JobId, Pending>();

  async function step(): Promise<void> {
    const due = [...pending.values()].find((entry) => clock.now() >= entry.dueMs);
    if (!due) return clock.sleep(POLL_MS, signal);
    const { job } = due;
    if (!(await deps.isSubmitted(job.jobId))) return void pending.delete(job.jobId);
    logger.info('Judging', { jobId: job.jobId, node: job.node });
    if (await conclude(due, await judge(job, options, deps))) pending.delete(job.jobId);
  }

  /** True when the job needs no more looks. */
  async function conclude(entry: Pending, verdict: Verdict): Promise<boolean> {
    const { job } = entry;
    switch (verdict.kind) {
      case 'accept':
        await deps.accept(job);
        logger.info('Accepted', { jobId: job.jobId, loss: verdict.loss });
        return true;
      case 'reject':
        logger.warn('Rejected', { jobId: job.jobId, code: verdict.code, reason: verdict.reason });
        await deps.reject(job, `0x${sha256(`${verdict.code}: ${verdict.reason}`)}`);
        return true;
      case 'unknown': {
        if (verdict.isAbsent) entry.absent += 1;
        logger.warn('No verdict yet', { jobId: job.jobId, reason: verdict.reason });
        if (entry.absent >= ABSENT_LOOKS) {
          return conclude(entry, { kind: 'reject', code: 'verdict/evidence-absent', reason: verdict.reason });
        }
        entry.dueMs = clock.now() + RETRY_MS;
        return false;
      }
    }
  }

  return {
    onSubmitted(job) {
      if (!pending.has(job.jobId)) pending.set(job.jobId, { job, dueMs: clock.now(), absent: 0 });
    },
    async run() {
      while (!signal.aborted) {
        await step().catch(async (error) => {
          if (signal.aborted) return;
          logger.warn('Verifying failed; trying again', {}, error);
          for (const entry of pending.values()) entry.dueMs = Math.max(entry.dueMs, clock.now() + RETRY_MS / 3);
          await clock.sleep(POLL_MS, signal).catch(() => undefined);
        });
      }
    },
  };
}
