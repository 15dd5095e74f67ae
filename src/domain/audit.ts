/** Audits, leases done a second time: which are drawn, what the outcomes mean, and what is not paid. */
import { createHash } from 'node:crypto';
import type { Codec } from './codec';
import type { Address } from './ids';
import { byAddress } from './order';

export type AuditOutcome = 'equal' | 'different';

/** A merged lease, as the rules of audits see it. `ordinal` counts its worker's merged leases with a node. */
export interface AuditableLease {
  worker: Address;
  round: number;
  start: number;
  tokens: number;
  ordinal: number;
}

/** One lease done again by `auditor`, compared with what its worker had sent. */
export interface FinishedAudit {
  round: number;
  start: number;
  auditor: Address;
  tokens: number;
  outcome: AuditOutcome;
}

/** The commitment to a seed: what workers are told before the first draw. */
export function hashSeed(seed: string): string {
  return createHash('sha256').update(Buffer.from(seed, 'hex')).digest('hex');
}

export interface DrawnLease {
  jobId: string;
  round: number;
  start: number;
  ordinal: number;
}

/** The chance that a worker's lease is audited: its first always is, in the long run `rate` of them are. */
export function auditChance(rate: number, ordinal: number): number {
  return Math.max(rate, 1 / ordinal);
}

/**
 * Whether a lease is drawn for an audit. Nobody without the seed can tell beforehand, anybody with it can
 * check it afterwards.
 */
export function isDrawn(seed: string, { jobId, round, start, ordinal }: DrawnLease, rate: number): boolean {
  const bytes = createHash('sha256').update(Buffer.from(seed, 'hex')).update(`${jobId} ${round} ${start}`).digest();
  return Number(bytes.readBigUInt64BE()) / 2 ** 64 < auditChance(rate, ordinal);
}

/** Lists the drawn leases of which no audit came to an end. */
export function missedAudits(
  drawn: readonly Pick<AuditableLease, 'round' | 'start'>[],
  audits: readonly FinishedAudit[],
): { round: number; start: number }[] {
  const done = new Set(audits.map(leaseKey));
  return drawn.filter((lease) => !done.has(leaseKey(lease))).map(({ round, start }) => ({ round, start }));
}

/** What the audits of one lease say: `undecided` until two of the parties agree. */
export type AuditFinding = 'passed' | 'failed' | 'undecided';

/**
 * One equal outcome passes a lease: two who knew nothing of each other found the same. Two different ones
 * fail it, or one of the node itself, which nobody could pay to lie; else it is one word against another.
 */
export function findingOf(
  audits: readonly Pick<FinishedAudit, 'auditor' | 'outcome'>[],
  node: Address | undefined,
): AuditFinding {
  if (audits.some(({ outcome }) => outcome === 'equal')) return 'passed';
  return audits.length >= 2 || audits.some(({ auditor }) => auditor === node) ? 'failed' : 'undecided';
}

/** What all audits of a job come to. */
export interface AuditReport {
  /** By `leaseKey`. */
  findings: ReadonlyMap<string, AuditFinding>;
  /** Keys of merged leases that are not paid. */
  refuted: ReadonlySet<string>;
  /** Whose lease failed, or who found differently than the others. */
  discredited: ReadonlySet<Address>;
  /** Tokens of audits that found what the others found, by auditor. */
  auditTokens: ReadonlyMap<Address, number>;
}

export function leaseKey({ round, start }: { round: number; start: number }): string {
  return `${round}:${start}`;
}

/**
 * Follows from leases and audits alone, so that everybody comes to the same: who stood alone with what it
 * found, and which leases are unpaid for it. Those are all that the worker had merged since its last passed
 * audit; a lease that itself passed is paid in any case. Where it is one word against another, neither is
 * paid.
 */
export function reportAudits(
  leases: readonly AuditableLease[],
  audits: readonly FinishedAudit[],
  node: Address,
): AuditReport {
  const findings = findAll(audits, node);
  const { doubted, discredited } = findDoubted(leases, audits, findings);
  const auditTokens = new Map<Address, number>();
  for (const audit of audits) {
    if (!isRight(audit, findings)) continue;
    auditTokens.set(audit.auditor, (auditTokens.get(audit.auditor) ?? 0) + audit.tokens);
  }
  const hasPassed = (lease: AuditableLease) => findings.get(leaseKey(lease)) === 'passed';
  const refuted = new Set<string>();
  for (const [worker, ordinal] of doubted) {
    const own = leases.filter((lease) => lease.worker === worker);
    const passed = own.filter((lease) => lease.ordinal < ordinal && hasPassed(lease));
    const lastSound = passed.reduce((last, lease) => Math.max(last, lease.ordinal), 0);
    for (const lease of own) if (lease.ordinal > lastSound && !hasPassed(lease)) refuted.add(leaseKey(lease));
  }
  return { findings, refuted, discredited, auditTokens };
}

/** Finds from which ordinal on each worker is in doubt. A wrong auditor is after all of its leases. */
function findDoubted(
  leases: readonly AuditableLease[],
  audits: readonly FinishedAudit[],
  findings: ReadonlyMap<string, AuditFinding>,
): { doubted: Map<Address, number>; discredited: Set<Address> } {
  const doubted = new Map<Address, number>();
  const discredited = new Set<Address>();
  const doubt = (worker: Address, ordinal: number, finding: AuditFinding | undefined) => {
    doubted.set(worker, Math.min(doubted.get(worker) ?? Number.POSITIVE_INFINITY, ordinal));
    if (finding !== 'undecided') discredited.add(worker);
  };
  for (const lease of leases) {
    const finding = findings.get(leaseKey(lease));
    if (finding === 'failed' || finding === 'undecided') doubt(lease.worker, lease.ordinal, finding);
  }
  for (const audit of audits) {
    if (!isRight(audit, findings)) doubt(audit.auditor, Number.POSITIVE_INFINITY, findings.get(leaseKey(audit)));
  }
  return { doubted, discredited };
}

function isRight(audit: FinishedAudit, findings: ReadonlyMap<string, AuditFinding>): boolean {
  return findings.get(leaseKey(audit)) === (audit.outcome === 'equal' ? 'passed' : 'failed');
}

function findAll(audits: readonly FinishedAudit[], node: Address): Map<string, AuditFinding> {
  const byLease = new Map<string, FinishedAudit[]>();
  for (const audit of audits) {
    const key = leaseKey(audit);
    byLease.set(key, [...(byLease.get(key) ?? []), audit]);
  }
  return new Map([...byLease].map(([key, all]) => [key, findingOf(all, node)]));
}

/** A worker's tokens in a job. */
export interface WorkerTokens {
  /** Merged, whatever an audit said of them later. */
  merged: number;
  /** Of audits that are paid. */
  audited: number;
  /** Merged since the last passed audit: paid only as long as the next one passes too. */
  held: number;
  /** What its pay follows. */
  paid: number;
}

/** Sums what each worker did. The node is not paid for audits: it has its commission. */
export function countTokens(
  leases: readonly AuditableLease[],
  audits: readonly FinishedAudit[],
  node: Address,
): Map<Address, WorkerTokens> {
  const { findings, refuted, auditTokens } = reportAudits(leases, audits, node);
  const counts = new Map<Address, WorkerTokens>();
  const countOf = (worker: Address) => {
    const count = counts.get(worker) ?? { merged: 0, audited: 0, held: 0, paid: 0 };
    counts.set(worker, count);
    return count;
  };
  const lastPassed = new Map<Address, number>();
  for (const lease of leases) {
    if (findings.get(leaseKey(lease)) !== 'passed') continue;
    lastPassed.set(lease.worker, Math.max(lastPassed.get(lease.worker) ?? 0, lease.ordinal));
  }
  for (const lease of leases) {
    const count = countOf(lease.worker);
    count.merged += lease.tokens;
    if (lease.ordinal > (lastPassed.get(lease.worker) ?? 0)) count.held += lease.tokens;
    if (!refuted.has(leaseKey(lease))) count.paid += lease.tokens;
  }
  for (const [auditor, tokens] of auditTokens) {
    if (auditor === node) continue;
    const count = countOf(auditor);
    count.audited += tokens;
    count.paid += tokens;
  }
  return counts;
}

/** A worker that could do an audit. */
export interface AuditCandidate {
  address: Address;
  ip: string | undefined;
  /** How many audits of this job it has done or is doing. */
  audits: number;
}

/**
 * Chooses who does a lease again: somebody at another network address than its worker where there is one, as
 * two keys of one owner would agree about anything; then whoever has done the fewest.
 */
export function chooseAuditor(
  candidates: readonly AuditCandidate[],
  workerIp: string | undefined,
): Address | undefined {
  const sorted = [...candidates].sort(
    (a, b) =>
      Number(a.ip === workerIp) - Number(b.ip === workerIp) || a.audits - b.audits || byAddress(a.address, b.address),
  );
  return sorted[0]?.address;
}

/** Whether leases of a job can be checked by doing them again: not where chance takes part in it. */
export function isComparable(params: { model: { dropout: number } }): boolean {
  return params.model.dropout === 0;
}

/**
 * The greatest distance, ‖a − b‖ ÷ ‖b‖ of decoded updates, that honest executions of one lease may have. Sums
 * in another order differ in their last bits, and a lossy codec rounds a few of them the other way. `devices`
 * are those of both parties: with precision `auto`, one that is not known may have been a GPU. Dropout draws
 * other masks with another device, micro-batch or number of processes: then no distance proves anything.
 *
 * Measured by `npm run bench:drift` at leases of 5 to 50 steps. At fp32 honest executions came to 3.6e-4 in
 * every codec, and the smallest cheat, a rate 1 % off, to 8.7e-3. At bf16 they came to 3.8e-2, and to 1.4e-1
 * with micro-batches of another size: there, only work that is wrong by more than that is seen, such as a
 * fifth of the steps left out.
 *
 * Of int4, int2 and sparse, distances were computed from a real update and noise of these sizes. A difference
 * of 3.6e-4 becomes 9.8e-3, 1.5e-2 and 5.4e-2, one of 8.7e-3 becomes 4.4e-2, 6.7e-2 and 2.5e-1; an update
 * that is only 1 % longer becomes 2.3e-2, 2.9e-2 and 1.6e-2, which sparse does not show.
 */
export function toleranceOf(
  params: {
    precision: 'auto' | 'fp32' | 'bf16';
    codec: Codec;
    model: { dropout: number };
  },
  devices: readonly ('cpu' | 'cuda' | undefined)[],
): number {
  if (!isComparable(params)) return Number.POSITIVE_INFINITY;
  const isFp32 =
    params.precision === 'fp32' || (params.precision === 'auto' && devices.every((kind) => kind === 'cpu'));
  return (isFp32 ? FP32_TOLERANCES : BF16_TOLERANCES)[params.codec];
}

const FP32_TOLERANCES: Readonly<Record<Codec, number>> = {
  ...{ fp32: 3e-3, bf16: 5e-3, int8: 5e-3 },
  ...{ int4: 1.8e-2, int2: 2.4e-2, sparse: 1.1e-1 },
};
const BF16_TOLERANCES: Readonly<Record<Codec, number>> = {
  ...{ fp32: 2e-1, bf16: 2e-1, int8: 2e-1 },
  ...{ int4: 2.5e-1, int2: 3.5e-1, sparse: 8e-1 },
};
