/** The loop over the rounds of a job, from the first lease to the last fold. */
import { decideRound, type RoundDecision } from '../domain/round';
import { AppError } from '../lib/errors';
import { abandonRound, evaluateRound, type FoldedRound, foldRound } from './fold';
import type { JobContext } from './job-context';
import { grantRound, resumeRound } from './leases';
import { countMembers } from './members';
import { handleEvent } from './round-events';
import type { RoundState } from './round-state';

/**
 * How long a ready worker waits for others that are still starting, so that it does not train a round alone.
 */
const GATHER_MS = 20_000;
/** Time kept free before the deadline for the last evaluation, export and submission. */
const FINISH_MS = 45_000;

export type TrainingError = { code: 'job/deadline-near'; deadlineMs: number };

/**
 * Trains until every block is merged. Safe to call again after a crash: the open round is resumed where the
 * store left it.
 */
export async function runRounds(job: JobContext): Promise<void> {
  let round = await resumeRound(job);
  let folded: FoldedRound | undefined;
  while (round || (await job.deps.store.ledger.available(job.jobId)) > 0) {
    round ??= await nextRound(job);
    if (folded) void evaluateRound(job, folded);
    folded = undefined;
    const decision = await collectRound(job, round);
    if (decision.kind === 'close') folded = await foldRound(job, round, decision.scale);
    else await abandonRound(job, round);
    round = undefined;
  }
}

/** Waits for workers, then opens the next round. */
async function nextRound(job: JobContext): Promise<RoundState> {
  const { clock } = job.deps;
  let gatherUntilMs: number | undefined;
  for (;;) {
    const { ready, opening } = countMembers(job);
    if (ready > 0) gatherUntilMs ??= clock.now() + GATHER_MS;
    const gathered = ready > 0 && (opening === 0 || clock.now() >= (gatherUntilMs ?? 0));
    const round = gathered ? await grantRound(job) : undefined;
    if (round) return round;
    await step(job, undefined, 1000);
  }
}

/** Handles events until the round may close. */
async function collectRound(job: JobContext, round: RoundState): Promise<Exclude<RoundDecision, { kind: 'wait' }>> {
  for (;;) {
    const decision = decideRound(round.view(), job.settings, job.deps.clock.now());
    if (decision.kind !== 'wait') return decision;
    await step(job, round, decision.untilMs - job.deps.clock.now());
  }
}

/**
 * Handles one event, or none within `waitMs`. Throws `job/deadline-near` when too little time is left to
 * finish the job.
 */
async function step(job: JobContext, round: RoundState | undefined, waitMs: number): Promise<void> {
  const leftMs = job.deadlineMs - FINISH_MS - job.deps.clock.now();
  if (leftMs <= 0) {
    throw new AppError<TrainingError>(
      { code: 'job/deadline-near', deadlineMs: job.deadlineMs },
      `The job cannot be finished before its deadline ${new Date(job.deadlineMs).toISOString()}; it is declined.`,
    );
  }
  const event = await job.mailbox.next(Math.min(waitMs, leftMs), job.signal);
  if (event) await handleEvent(job, round, event);
}
