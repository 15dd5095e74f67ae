/** Jobs as the admin API shows them, from the store and from the running master. */
import { type AuditFinding, findingOf } from '../domain/audit';
import type { JobDetails, JobView, WorkerView } from '../protocol/admin';
import type { JobRow } from '../store/jobs';
import type { Store } from '../store/open';
import type { LiveJob } from './job-context';
import type { JobRun } from './job-run';
import { JobPlan } from './plan';
import { listUtilisation } from './work-times';

/** What is known of a job beyond the store; without a `run` it is not being worked on. */
export interface LiveFacts {
  run?: Pick<JobRun, 'jobId' | 'live' | 'plan' | 'waitsFor'> | undefined;
  workers: readonly WorkerView[];
  nowMs: number;
}

/** The tables a job's details are read from. */
export interface StatusStore {
  readonly jobs: Pick<Store['jobs'], 'history'>;
  readonly rounds: Pick<Store['rounds'], 'list'>;
  readonly ledger: Pick<Store['ledger'], 'listLeases' | 'audit'>;
  readonly audits: Pick<Store['audits'], 'drawn' | 'list'>;
  readonly evidenceRequests: Pick<Store['evidenceRequests'], 'list'>;
}

/** Returns the short view of a job, with live figures while this master works on it. */
export function viewJob(row: JobRow, live: LiveFacts): JobView {
  return {
    jobId: row.id,
    state: row.state,
    chainState: row.chainState,
    reason: row.reason,
    waitsFor: live.run?.waitsFor,
    lookAtMs: row.lookAtMs,
    requester: row.requester,
    dataset: row.dataset,
    feeWei: row.feeWei.toString(),
    deadlineMs: row.deadlineMs,
    ...progressOf(live),
  };
}

/** Returns everything about one job, including the ledger audit: how often each block was merged. */
export async function describeJob(store: StatusStore, row: JobRow, live: LiveFacts): Promise<JobDetails> {
  const plan = JobPlan.safeParse(row.plan).data;
  const [rounds, leases, history, audits, requests] = await Promise.all([
    store.rounds.list(row.id),
    store.ledger.listLeases(row.id),
    store.jobs.history(row.id),
    countAudits(store, row),
    store.evidenceRequests.list(row.id),
  ]);
  return {
    ...viewJob(row, live),
    ...(plan ? { settled: settledOf(plan) } : {}),
    ...(plan ? { ledger: await store.ledger.audit(row.id, plan.prepared.epochBlocks) } : {}),
    rounds: rounds.map(({ round, state, scale, validationLoss }) => ({
      round,
      state,
      scale,
      validationLoss,
      updates: leases.filter((lease) => lease.round === round && lease.state === 'merged').length,
    })),
    workers: withUtilisation(live.workers, live.run?.live, live.nowMs).filter((worker) => worker.jobId === row.id),
    history,
    audits,
    evidenceRequests: requests.map(({ verifier, reference, atMs }) => ({ verifier, reference, atMs })),
  };
}

function settledOf({ params: { round, inner, outer, codec }, codecWhy }: JobPlan): JobDetails['settled'] {
  const { optimiser, lr, muonLr } = inner;
  return { round, inner: { optimiser, lr, muonLr }, outer, codec, codecWhy };
}

/** Adds to each worker of a job how much of its time there it has trained. */
export function withUtilisation(
  workers: readonly WorkerView[],
  live: LiveJob | undefined,
  nowMs: number,
): WorkerView[] {
  const parts = live ? listUtilisation(live, nowMs) : {};
  return workers.map((worker) => ({ ...worker, utilisation: parts[worker.address] }));
}

async function countAudits({ audits }: StatusStore, { id, owner }: JobRow): Promise<JobDetails['audits']> {
  const [drawn, done] = await Promise.all([audits.drawn(id), audits.list(id)]);
  const findings = drawn.map(({ leaseId }) =>
    findingOf(
      done.filter((audit) => audit.leaseId === leaseId),
      owner,
    ),
  );
  const count = (finding: AuditFinding) => findings.filter((found) => found === finding).length;
  return { drawn: drawn.length, passed: count('passed'), failed: count('failed') };
}

function progressOf({ run, workers: all, nowMs }: LiveFacts): Pick<JobView, 'progress'> {
  const live = run?.live;
  if (!run || !live) return {};
  const { startedAtMs, mergedAtStart, mergedBlocks, totalBlocks } = live;
  const merged = mergedBlocks - mergedAtStart;
  const perBlockMs = merged > 0 ? (live.lastFoldMs - startedAtMs) / merged : undefined;
  const workers = all.filter((worker) => worker.jobId === run.jobId && worker.connected);
  const etaMs = perBlockMs && Math.max(0, perBlockMs * (totalBlocks - mergedBlocks) - (nowMs - live.lastFoldMs));
  return {
    progress: {
      round: live.round,
      mergedBlocks,
      totalBlocks,
      loss: live.loss,
      validationLoss: live.validationLoss,
      startLoss: run.plan?.startLoss ?? Number.NaN,
      tokensPerSecond: workers.reduce((sum, worker) => sum + (worker.tokensPerSecond ?? 0), 0),
      utilisation: listUtilisation(live, nowMs),
      etaSeconds: etaMs === undefined ? undefined : Math.round(etaMs / 1000),
    },
  };
}
