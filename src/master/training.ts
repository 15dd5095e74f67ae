/** The loop over the rounds of a job, from the first lease to the last fold. */
import { decideRound, type RoundDecision } from '../domain/round';
import { crashPoint } from '../lib/crash-point';
import { dismissDiscredited } from './audit-answers';
import { assignAudits, expireAudits, findOpenAudits, nextExpiryMs } from './audits';
import { abandonRound, foldRound } from './fold';
import { beginCheck, openCheck, resumeCheck, settleCheck } from './fold-check';
import type { JobContext } from './job-context';
import { grantLate, grantRound, resumeRound } from './leases';
import { countMembers } from './members';
import { keepEvent } from './own-trouble';
import { FINISH_MS, noteMilestone, requireReach } from './reach';
import { handleEvent } from './round-events';
import type { RoundState } from './round-state';
import { listUtilisation } from './work-times';

/**
 * How long a ready worker waits for others that are still starting, so that it does not train a round alone.
 */
const GATHER_MS = 20_000;
/** How soon something is looked at again that no event may tell of. */
const CHECK_MS = 1000;
/** How long the last audits are waited for: this, or a part of the time the job took. */
const LAST_AUDITS_MS = 60_000;
const LAST_AUDITS_PART = 0.1;

/**
 * Trains until every block is merged and every audit done. Safe to call again after a failure, when the open
 * round goes on, and after a crash, when it is resumed where the store left it.
 */
export async function runRounds(job: JobContext): Promise<void> {
  crashPoint('training.begun');
  await dismissDiscredited(job, undefined);
  await resumeCheck(job);
  job.openRound = await resumeRound(job);
  for (;;) {
    // What was folded may be taken back until it is checked, and then there are blocks to lease again.
    const isDone = !job.openRound && (await job.deps.store.ledger.available(job.jobId)) === 0;
    if (isDone && (await settleCheck(job, undefined)) !== 'pending') {
      if ((await job.deps.store.ledger.available(job.jobId)) > 0) continue;
      endTraining(job);
      return finishAudits(job);
    }
    if (isDone) {
      await step(job, undefined, CHECK_MS);
      continue;
    }
    const round = job.openRound ?? (await nextRound(job));
    const decision = await collectRound(job, round);
    if (decision.kind === 'close') {
      openCheck(job, await foldRound(job, round, decision.scale), round);
      noteMilestone(job);
      job.goOn();
    }
    if (decision.kind === 'abandon') await abandonRound(job, round);
    job.openRound = undefined;
  }
}

/**
 * Has the last audits done, for a bounded time: what nobody has answered then is left out. A worker's audit
 * ends with its own time.
 */
async function finishAudits(job: JobContext): Promise<void> {
  const { clock, logger } = job.deps;
  const startedAtMs = clock.now();
  // Time for one that lapses, and for another who does it then.
  const longestMs = (await findOpenAudits(job)).map(({ grantedMs }) => 2 * grantedMs);
  const jobMs = startedAtMs - job.live.startedAtMs;
  const patienceMs = Math.max(LAST_AUDITS_MS, LAST_AUDITS_PART * jobMs, ...longestMs);
  const untilMs = Math.min(startedAtMs + patienceMs, job.deadlineMs - FINISH_MS - CHECK_MS);
  for (;;) {
    const open = await findOpenAudits(job);
    if (open.length === 0) return;
    if (clock.now() >= untilMs) return logger.warn('Audits left out', { leases: open.length });
    await assignAudits(job, 0);
    await step(job, undefined, Math.min(CHECK_MS, untilMs - clock.now()));
  }
}

/** The time of workers is looked at until every block is merged; the last audits keep few of them busy. */
function endTraining({ live, deps: { clock, logger } }: JobContext): void {
  live.utilisation ??= listUtilisation(live, clock.now());
  logger.info('Training is over', { utilisation: live.utilisation });
}

/** Waits for workers, then opens the next round. */
async function nextRound(job: JobContext): Promise<RoundState> {
  const { clock } = job.deps;
  let gatherUntilMs: number | undefined;
  for (;;) {
    const { ready, opening } = countMembers(job);
    if (ready > 0) gatherUntilMs ??= clock.now() + GATHER_MS;
    const gathered = ready > 0 && (opening === 0 || clock.now() >= (gatherUntilMs ?? 0));
    if (gathered) await assignAudits(job, 1);
    const round = gathered ? await grantRound(job) : undefined;
    if (round) {
      job.goOn();
      return round;
    }
    await step(job, undefined, CHECK_MS);
    await settleCheck(job, undefined);
  }
}

/** Handles events until the round may close, which it may not before the fold it began from is final. */
async function collectRound(
  job: JobContext,
  round: RoundState,
): Promise<Exclude<RoundDecision, { kind: 'wait' }> | { kind: 'recalled' }> {
  for (;;) {
    const check = await settleCheck(job, round);
    if (check === 'recalled') return { kind: 'recalled' };
    const decision = decideRound(round.view(), job.settings, job.deps.clock.now());
    if (decision.kind === 'wait') await grantLate(job, round, decision.untilMs);
    if (decision.kind !== 'wait' && check === 'settled') return decision;
    await step(job, round, decision.kind === 'wait' ? decision.untilMs - job.deps.clock.now() : CHECK_MS);
  }
}

/** Handles one event, or none within `waitMs`. Throws when the job is to be given up. */
async function step(job: JobContext, round: RoundState | undefined, waitMs: number): Promise<void> {
  beginCheck(job);
  const event = await job.mailbox.next(Math.min(waitMs, requireReach(job), nextExpiryMs(job)), job.signal);
  if (event) await keepEvent(job, event, () => handleEvent(job, round, event));
  await expireAudits(job);
}
