/** The audits of a job in memory; what was drawn and what was found are in the store. */
import type { Address } from '../domain/ids';
import type { DrawnLeaseRow } from '../store/audits';

/** A lease that a worker does again. */
export interface RunningAudit {
  lease: DrawnLeaseRow;
  auditor: Address;
  /** Of the lease the auditor was granted. */
  leaseId: string;
  deadlineMs: number;
  /** Its update is on its way, or being compared. */
  isCollecting: boolean;
}

/** What a job remembers of its audits; lost at a restart, after which open audits begin again. */
export interface AuditState {
  /** By the id of the lease that the auditor was granted. */
  readonly running: Map<string, RunningAudit>;
  /** By audited lease: who is not asked again, as it gave no usable answer. */
  readonly excluded: Map<string, Set<Address>>;
  /** Audited leases about which the master's own child decides. */
  readonly disputed: Set<string>;
  /** The audited lease that the master's own child is doing again. */
  own: string | undefined;
  /** What the own child has spent on audits so far. */
  ownMs: number;
  /** Auditors that have not had a receipt since their last audit. */
  readonly unreported: Set<Address>;
}

export function openAuditState(): AuditState {
  return {
    running: new Map(),
    excluded: new Map(),
    disputed: new Set(),
    own: undefined,
    ownMs: 0,
    unreported: new Set(),
  };
}

/** True while the worker does somebody's lease again, and so takes no part in a round. */
export function isAuditing({ running }: Pick<AuditState, 'running'>, worker: Address): boolean {
  return [...running.values()].some(({ auditor }) => auditor === worker);
}

/** Notes that somebody gave no usable answer about a lease. */
export function exclude({ excluded }: Pick<AuditState, 'excluded'>, leaseId: string, auditor: Address): void {
  excluded.set(leaseId, (excluded.get(leaseId) ?? new Set()).add(auditor));
}
