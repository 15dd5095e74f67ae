/** The governance of the escrow as its events alone describe it. */
import { ZeroAddress, ZeroHash } from 'ethers';
import type { EmethCoreEvents } from '../../src/chain/generated/emeth-core';

export type ModelTerms = EmethCoreEvents['TermsChanged']['terms'];
type GovernanceEvent =
  | 'DefaultAdminDelayChangeCanceled'
  | 'DefaultAdminDelayChangeScheduled'
  | 'DefaultAdminTransferCanceled'
  | 'DefaultAdminTransferScheduled'
  | 'NodeActivityChanged'
  | 'PausedChanged'
  | 'RegistryChanged'
  | 'RoleGranted'
  | 'RoleRevoked'
  | 'TermsChanged';

/** The constructor sets it without an event. */
const FIRST_DELAY = 2n * 86_400n;

/** Terms, roles, registries and active nodes of the escrow, from events alone. */
export class GovernanceModel {
  readonly terms = new Map<bigint, ModelTerms>();
  currentTerms = 0n;
  paused = false;
  registry = ZeroAddress;
  /** Number of the present registry; a node's activity in an earlier one does not count. */
  registryNumber = 0n;
  /** By account, the number of the registry that has it as an active node. */
  readonly activeIn = new Map<string, bigint>();
  /** Accounts by role. */
  readonly members = new Map<string, Set<string>>();
  pendingAdmin: readonly [account: string, fromSeconds: bigint] = [ZeroAddress, 0n];
  private delay = FIRST_DELAY;
  private pendingDelay: readonly [seconds: bigint, fromSeconds: bigint] = [0n, 0n];

  has(role: string, account: string): boolean {
    return this.members.get(role)?.has(account) ?? false;
  }

  isActive(node: string): boolean {
    return this.registry === ZeroAddress || this.activeIn.get(node) === this.registryNumber;
  }

  admin(): string {
    return [...(this.members.get(ZeroHash) ?? [])][0] ?? ZeroAddress;
  }

  /** Returns the delay of a change of administrator and the scheduled next one, as of `now`. */
  delaysAt(now: bigint): { delay: bigint; pending: readonly [bigint, bigint] } {
    const [next, from] = this.pendingDelay;
    if (from !== 0n && from < now) return { delay: next, pending: [0n, 0n] };
    return { delay: this.delay, pending: from === 0n ? [0n, 0n] : this.pendingDelay };
  }

  readonly effects: { [Name in GovernanceEvent]: (args: EmethCoreEvents[Name], at: bigint) => void } = {
    DefaultAdminDelayChangeCanceled: () => {
      this.pendingDelay = [0n, 0n];
    },
    DefaultAdminDelayChangeScheduled: ({ newDelay, effectSchedule }, at) => {
      this.delay = this.delaysAt(at).delay;
      this.pendingDelay = [newDelay, effectSchedule];
    },
    DefaultAdminTransferCanceled: () => {
      this.pendingAdmin = [ZeroAddress, 0n];
    },
    DefaultAdminTransferScheduled: ({ newAdmin, acceptSchedule }) => {
      this.pendingAdmin = [newAdmin, acceptSchedule];
    },
    NodeActivityChanged: ({ node, active }) => {
      this.activeIn.set(node, active ? this.registryNumber : 0n);
    },
    PausedChanged: ({ paused }) => {
      this.paused = paused;
    },
    RegistryChanged: ({ registry }) => {
      this.registry = registry;
      this.registryNumber += 1n;
    },
    RoleGranted: ({ role, account }) => {
      this.members.set(role, (this.members.get(role) ?? new Set()).add(account));
      this.endTransfer(role);
    },
    RoleRevoked: ({ role, account }) => {
      if (!this.members.get(role)?.delete(account)) throw new Error(`${account} lost a role it did not have`);
      this.endTransfer(role);
    },
    TermsChanged: ({ termsId, terms }) => {
      this.terms.set(termsId, terms);
      this.currentTerms = termsId;
    },
  };

  /** The administrator changes only by the pending transfer. */
  private endTransfer(role: string): void {
    if (role === ZeroHash) this.pendingAdmin = [ZeroAddress, 0n];
  }
}
