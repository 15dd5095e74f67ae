/** The gate: the checks that an update passes before it can be merged. */
import { isFlat } from '../domain/fold-check';
import type { Sha256 } from '../domain/ids';
import type { ModelSize } from '../domain/model-size';
import { sumOfRates } from '../domain/schedule';
import { smoothSpeed } from '../domain/standing';
import { areTwins, leastNorm, looksScaled, type UpdateFacts } from '../domain/update-rules';
import { crashPoint } from '../lib/crash-point';
import type { WorkerMessage } from '../protocol/link';
import type { TrainerEvent } from '../protocol/trainer';
import { fetchUpdate, refuseCommit } from './fetch-update';
import { workName } from './gate-memory';
import type { JobContext } from './job-context';
import type { UpdateVerdict } from './job-events';
import { patiently } from './own-trouble';
import { sizeOfPlan } from './plan';
import type { LiveLease, RoundState } from './round-state';
import { acceptGain, askGain, doubtUse, hasTimeToLook, isKnownHonest, judgeGain, markDoubtful } from './update-use';

type Commit = Extract<WorkerMessage, { type: 'lease.commit' }>;
const REPEATED = 'the same update came before, for other work';
const INCONSISTENT = 'its update does not lead from the weights of its round to those it names';

type Inspected = Extract<TrainerEvent, { type: 'inspected' }>;

/** Numbers of other updates that are read to compare one with them. */
const COMPARED_NUMBERS = 1e9;

/** Fetches a committed update and judges it. Throws `link/…` when the worker disconnects, and `blobs/…`. */
export async function judgeUpdate(
  job: JobContext,
  round: RoundState,
  lease: LiveLease,
  commit: Commit,
): Promise<UpdateVerdict> {
  const { store } = job.deps;
  crashPoint('commit.arrived');
  const unfit = refuseCommit(job, lease, commit);
  if (unfit !== undefined) return fault(unfit);
  await patiently(job, lease.leaseId, () => fetchUpdate(job, lease.worker, commit.update));
  crashPoint('update.fetched');
  const reason = isRepeated(job, round, lease, commit)
    ? REPEATED
    : await job.gate.inTurn(() => findFlaw(job, round, lease, commit));
  if (reason !== undefined) return fault(reason);
  crashPoint('update.judged');

  const { type: _type, leaseId, ...work } = commit;
  const outcome = await patiently(job, leaseId, () => store.ledger.commit(leaseId, lease.worker, work));
  if (outcome === 'stale') return { accepted: false, reason: 'the round of this lease is closed', isFault: false };
  crashPoint('update.committed');
  return { accepted: true, work };
}

/** Notes that the update has arrived; true when the same bytes came before for another piece of work. */
function isRepeated({ gate }: JobContext, { round }: RoundState, lease: LiveLease, { update }: Commit): boolean {
  const work = workName(lease, round);
  const before = gate.seen.get(update.sha256);
  if (before !== undefined && before !== work) return true;
  gate.seen.set(update.sha256, work);
  return false;
}

/** Returns why an update is refused; what is only doubtful is marked for an audit. */
async function findFlaw(job: JobContext, round: RoundState, lease: LiveLease, commit: Commit) {
  const others = chooseOthers(job, round, lease);
  const seen = await inspect(job, round, lease, others, commit.update.sha256);
  if (!seen.ok) return seen.reason ?? 'its update is not one of this model';
  lease.sound = commit.update.sha256;
  if (seen.endTheta !== undefined && seen.endTheta !== commit.endTheta) return INCONSISTENT;

  const { gate, plan } = job;
  const { norm, gain } = seen;
  const { inner } = plan.params;
  const isMuon = inner.optimiser === 'muon';
  const rates = sumOfRates(isMuon ? { ...inner, lr: inner.muonLr } : inner, lease, plan.totalBlocks);
  const facts: UpdateFacts = { norm, rates, blocks: lease.end - lease.start };
  const least = leastNorm(facts, gate.accepted, stepSquare(sizeOfPlan(plan), isMuon));
  if (norm < least) return `its update is ${figure(norm)} long, and no work is shorter than ${figure(least)}`;
  const use = gain === undefined ? 'useful' : judgeGain(job, round, lease, gain);
  if (use === 'useless' && !isKnownHonest(job, lease) && !(await hasStalled(job)))
    return `its updates do not lower the loss on its own data as work does (gain ${gain})`;
  if (use !== 'useful') doubtUse(job, lease);

  if (looksScaled(facts, gate.accepted)) markDoubtful(job, lease, 'its update is much longer or shorter than others');
  markTwins(job, lease, others, seen.cosines ?? []);
  gate.accepted.push(facts);
  if (gain !== undefined) acceptGain(job, round, lease, gain);
  return undefined;
}

/** True while the job itself does not get on, by the losses that this master has measured. */
async function hasStalled({ deps, jobId }: JobContext): Promise<boolean> {
  const rounds = await deps.store.rounds.list(jobId);
  return isFlat(rounds.flatMap(({ isConfirmed, validationLoss }) => (isConfirmed ? (validationLoss ?? []) : [])));
}

/**
 * Looks at the update alone, or, as often as this master's time allows, at all that can be known of it. The
 * gain of a worker known to be honest is left for later: it could not be a reason to refuse the update.
 */
async function inspect(
  job: JobContext,
  round: RoundState,
  lease: LiveLease,
  others: readonly LiveLease[],
  hash: Sha256,
): Promise<Inspected> {
  const { blobs, clock } = job.deps;
  const { gate, coordinator } = job;
  const update = blobs.path(hash);
  const isNew = !gate.margins.has(lease.worker);
  lease.isForLater = isKnownHonest(job, lease);
  if (!isNew && !hasTimeToLook(gate.inspectMs)) return coordinator.run({ type: 'inspect', update }, 'inspected');
  const gain = lease.isForLater ? undefined : await askGain(job, round, lease);
  const startedMs = clock.now();
  const seen = await coordinator.run(
    {
      type: 'inspect',
      update,
      theta: blobs.path(round.theta),
      others: others.flatMap(({ sound }) => (sound ? [blobs.path(sound)] : [])),
      ...(gain ? { gain } : {}),
    },
    'inspected',
  );
  gate.inspectMs = smoothSpeed(gate.inspectMs, clock.now() - startedMs);
  return seen;
}

/** Leases of the round whose updates can be read, the last ones where reading all would take long. */
function chooseOthers(job: JobContext, round: RoundState, lease: LiveLease): LiveLease[] {
  const most = Math.max(1, Math.floor(COMPARED_NUMBERS / sizeOfPlan(job.plan).trainable));
  return [...round.leases.values()].filter((other) => other !== lease && other.sound).slice(-most);
}

function markTwins(job: JobContext, lease: LiveLease, others: readonly LiveLease[], cosines: readonly number[]): void {
  for (const [i, other] of others.entries()) {
    if (!areTwins(cosines[i] ?? 0)) continue;
    markDoubtful(job, lease, `its update has the direction of lease ${other.leaseId}'s`);
    markDoubtful(job, other, `its update has the direction of lease ${lease.leaseId}'s`);
  }
}

/**
 * Returns the squared length of what a step at rate 1 does to the blocks' matrices. AdamW moves each weight
 * by about 1; of an adapter, whose one half begins at 0, fewer. Muon moves a matrix by 1 in as many
 * directions as its shorter side has units, and by twice as much where it makes four numbers of one.
 */
function stepSquare({ layers, width, parameters, trainable }: ModelSize, isMuon: boolean): number {
  if (trainable < parameters) return trainable / 4;
  return layers * (isMuon ? 9 * width : 12 * width ** 2);
}

function figure(value: number): string {
  return value.toExponential(1);
}

function fault(reason: string): UpdateVerdict {
  return { accepted: false, reason, isFault: true };
}
