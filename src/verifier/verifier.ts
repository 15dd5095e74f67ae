/** The verifier's queue: judges submitted results one after another and attests each verdict on chain. */
import type { JobId } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { crashPoint } from '../lib/crash-point';
import { never } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { type JudgeDeps, type JudgeOptions, judge, type ResultVerdict } from './judge';
import type { SubmittedJob } from './manifest-checks';
import { endOfSearch, isWithheld, type MissingDeps, type Search } from './missing';
import { type Attesting, attest, type QuorumDeps, type SignedVerdict } from './quorum';
import { evidenceOf, reasonHashOf } from './rejection';

export interface VerifierDeps extends JudgeDeps, QuorumDeps, MissingDeps {
  /** Returns the end of the window for a verdict; undefined when the result awaits none any more. */
  verdictDueMs(jobId: JobId): Promise<number | undefined>;
  /** Keeps the evidence of a rejection here, and in the job's storage if that takes it. */
  keepEvidence(jobId: JobId, evidence: string): Promise<void>;
  /** Drops whatever was fetched for results that have been judged. */
  forget(): Promise<void>;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

export interface VerifierOptions extends JudgeOptions {
  /** Milliseconds for which evidence that is missing is looked for before it counts as withheld. */
  evidenceMs: number;
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
  /** What cannot be had of the evidence. */
  search?: Search | undefined;
  /** A verdict that is not on chain yet; the result is not judged again. */
  settled?: Settled | undefined;
  attesting: Attesting;
}

const POLL_MS = 500;
const FIRST_RETRY_MS = 5000;
const LAST_RETRY_MS = 5 * 60_000;

/** Opens a verifier. Failures of the verifier itself never cause a rejection. */
export function openVerifier(options: VerifierOptions, deps: VerifierDeps): Verifier {
  const { clock, logger, signal } = deps;
  const pending = new Map<JobId, Pending>();

  async function step(): Promise<void> {
    const due = [...pending.values()].find((entry) => clock.now() >= entry.dueMs);
    if (!due) return clock.sleep(POLL_MS, signal);
    try {
      await advance(due);
    } catch (error) {
      if (signal.aborted) return;
      // Of two that complete a quorum at once, one is refused.
      const dueMs = await deps.verdictDueMs(due.job.jobId).catch(() => 0);
      if (dueMs === undefined) return forgetDecided(due);
      logger.warn('Verifying failed; trying again', { jobId: due.job.jobId }, error);
      postpone(due);
    }
  }

  function forgetDecided({ job: { jobId }, settled }: Pending): void {
    pending.delete(jobId);
    if (settled) logger.info('Result decided', { jobId, own: settled.kind });
  }

  async function advance(entry: Pending): Promise<void> {
    const { job } = entry;
    const windowEndMs = await deps.verdictDueMs(job.jobId);
    if (windowEndMs === undefined) return forgetDecided(entry);
    if (!entry.settled) {
      const settled = await attempt(entry, windowEndMs);
      if (!settled) return;
      if (settled.kind === 'reject') await deps.keepEvidence(job.jobId, evidenceOf(job, settled));
      entry.settled = settled;
      crashPoint('verdict.reached');
      announce(job, settled, logger);
      await deps.forget();
    }
    if (await attest(job, toSigned(job, entry.settled), entry.attesting, deps)) {
      pending.delete(job.jobId);
      logger.info('Verdict sent', { jobId: job.jobId, verdict: entry.settled.kind });
    } else entry.dueMs = clock.now() + FIRST_RETRY_MS;
  }

  async function attempt(entry: Pending, windowEndMs: number): Promise<Settled | undefined> {
    const { job } = entry;
    logger.info('Judging', { jobId: job.jobId, node: job.node });
    const verdict = await judge(job, options, deps);
    if (verdict.kind !== 'unknown') return verdict;
    signal.throwIfAborted();
    const { reason, missing } = verdict;
    logger.warn('No verdict yet', { jobId: job.jobId, reason });
    postpone(entry);
    if (missing === undefined) return undefined;
    if (entry.search?.reference !== missing) {
      // Another thing that is missing goes on with the time of the first: a node must not gain by withholding
      // one after the other.
      const sinceMs = entry.search?.sinceMs ?? clock.now();
      entry.search = { sinceMs, reference: missing, attempts: entry.search?.attempts ?? 0, isRequested: false };
    }
    const endMs = endOfSearch(entry.search, options.evidenceMs, windowEndMs);
    if (await isWithheld(entry.search, job, clock.now() >= endMs, deps)) {
      return { kind: 'reject', code: 'evidence/unavailable', reason };
    }
    if (clock.now() < endMs) entry.dueMs = Math.min(entry.dueMs, endMs);
    return undefined;
  }

  function postpone(entry: Pending): void {
    entry.dueMs = clock.now() + Math.min(FIRST_RETRY_MS * 2 ** entry.failures, LAST_RETRY_MS);
    entry.failures += 1;
  }

  return {
    onSubmitted(job) {
      if (!pending.has(job.jobId)) pending.set(job.jobId, { job, dueMs: clock.now(), failures: 0, attesting: {} });
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

function announce({ jobId }: SubmittedJob, verdict: Settled, logger: Logger): void {
  switch (verdict.kind) {
    case 'accept':
      return logger.info('Accepting', { jobId, loss: verdict.loss });
    case 'reject': {
      const { code, reason, measured } = verdict;
      return logger.warn('Rejecting', { jobId, code, reason, measured });
    }
    default:
      return never(verdict);
  }
}

function toSigned(job: SubmittedJob, verdict: Settled): SignedVerdict {
  if (verdict.kind === 'accept') return { accepted: true };
  return { accepted: false, reasonHash: reasonHashOf(evidenceOf(job, verdict)) };
}
