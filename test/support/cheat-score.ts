/** What a job with a cheat in it is measured by, and what must hold of it. */
import type { CheatJobOutcome, WorkerOutcome } from './cheat-job';
import type { CheatPlan } from './cheats';

export interface CheatScore {
  /** The cheat's part of the leases that were refused or not paid; undefined when there were none. */
  precision: number | undefined;
  /** Of the cheat's worthless leases, the part that was not paid; undefined when it did all of its work. */
  recall: number | undefined;
  /** The cheat's leases that were refused when they came or when their round was checked. */
  refused: number;
  /** The cheat's leases that were merged and then not paid, for what an audit found. */
  refuted: number;
  /** The cheat's pay ÷ that of an average honest worker. */
  payRatio: number;
  lossRatio: number;
  timeRatio: number;
  /** Audited tokens ÷ merged tokens. */
  auditCost: number;
  /** What did not hold, as sentences. */
  shortfalls: string[];
}

/** The end loss may be this much above that of the clean job. */
const LOSS = 1.05;
/** A cheat that works gets no more than an honest worker, but measured speeds vary on a busy machine. */
const PAY = 1.5;
/** And one that does not work, no more than the lease or two before it was caught. */
const PAY_WITHOUT_WORK = 0.25;

export function scoreCheat(
  job: CheatJobOutcome,
  clean: CheatJobOutcome,
  plan: CheatPlan,
  lossLimit = LOSS,
): CheatScore {
  const cheats = job.workers.filter(({ isCheat }) => isCheat);
  const honest = job.workers.filter(({ isCheat }) => !isCheat);
  const flagged = (workers: readonly WorkerOutcome[]) => sum(workers, ({ refused, refuted }) => refused + refuted);
  const allFlagged = flagged(job.workers);
  const answered = sum(cheats, (worker) => worker.answered);
  const paid = (workers: readonly WorkerOutcome[]) =>
    sum(workers, (worker) => worker.paid) / Math.max(1, workers.length);
  const score = {
    precision: allFlagged === 0 ? undefined : flagged(cheats) / allFlagged,
    refused: sum(cheats, (worker) => worker.refused),
    refuted: sum(cheats, (worker) => worker.refuted),
    recall: plan.works || answered === 0 ? undefined : flagged(cheats) / answered,
    payRatio: paid(cheats) / Math.max(1, paid(honest)),
    lossRatio: (job.loss?.end ?? Number.NaN) / (clean.loss?.end ?? Number.NaN),
    timeRatio: job.seconds / clean.seconds,
    auditCost:
      job.audits.tokens /
      Math.max(
        1,
        sum(job.workers, ({ merged }) => merged),
      ),
  };
  return { ...score, shortfalls: findShortfalls(job, score, plan, lossLimit) };
}

function findShortfalls(
  job: CheatJobOutcome,
  score: Omit<CheatScore, 'shortfalls'>,
  plan: CheatPlan,
  lossLimit: number,
): string[] {
  const honest = job.workers.filter(({ isCheat }) => !isCheat);
  const isShort = ({ paid, merged, audited }: WorkerOutcome) => paid < merged + audited;
  const checks: [boolean, string][] = [
    [job.state === 'submitted', `the job is ${job.state}: ${job.reason}`],
    [score.lossRatio <= lossLimit, `the loss is ${score.lossRatio.toFixed(2)} of the clean one`],
    [
      score.payRatio <= (plan.works ? PAY : PAY_WITHOUT_WORK),
      `the cheat got ${score.payRatio.toFixed(2)} of an honest pay`,
    ],
    [honest.every((worker) => !isShort(worker)), 'an honest worker was not paid for all of its work'],
    [(score.precision ?? 1) === 1, 'an honest worker was accused'],
    [honest.every(({ dismissals }) => dismissals.length === 0), 'an honest worker was taken off the job'],
  ];
  return checks.filter(([holds]) => !holds).map(([, problem]) => problem);
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((all, item) => all + of(item), 0);
}
