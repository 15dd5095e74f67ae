import type { LogDescription } from 'ethers';
import type { EmethCoreEvents } from '../../src/chain/generated/emeth-core';
import type { ChainState } from '../../src/domain/job';

interface ModelJob {
  state: ChainState;
  requester: string;
  node: string;
  feeWei: bigint;
  /** Verifier's fee and burnt part of a full payout, on top of the fee. */
  extraWei: bigint;
  bondWei: bigint;
  /** What a result would pay, then what is left of it. */
  payoutWei: bigint;
}

/**
 * The escrow rebuilt from nothing but its events: states, credits, penalties and what is locked. If it differs from the contract's
 * storage, either an event lies or money went astray.
 */
export class EscrowModel {
  readonly jobs = new Map<string, ModelJob>();
  readonly credits = new Map<string, bigint>();
  readonly penalties = new Map<string, bigint>();
  /** What was burnt, by `slot` and by `slot:node`. */
  readonly slots = new Map<string, bigint>();
  readonly active = new Map<string, boolean>();

  /** What all jobs have locked. */
  lockedWei(): bigint {
    return sum([...this.jobs.values()].map(lockedIn));
  }

  /** What the contract must hold in tokens. */
  liabilitiesWei(): bigint {
    return sum(this.credits.values()) + sum(this.penalties.values()) + this.lockedWei();
  }

  apply(event: LogDescription): void {
    const { args } = event;
    const effect = effects[event.name as keyof EmethCoreEvents] as Effect<unknown> | undefined;
    effect?.(this, args, this.jobs.get(args['jobId']) as ModelJob);
  }

  owe(account: string, amount: bigint): void {
    this.credits.set(account, (this.credits.get(account) ?? 0n) + amount);
  }

  book(slot: bigint, node: string, burnt: bigint): void {
    for (const key of [`${slot}`, `${slot}:${node}`]) this.slots.set(key, (this.slots.get(key) ?? 0n) + burnt);
  }

  forfeit(account: string, amount: bigint): void {
    this.penalties.set(account, (this.penalties.get(account) ?? 0n) + amount);
  }
}

type Effect<Args> = (model: EscrowModel, args: Args, job: ModelJob) => void;

const effects: { [Name in keyof EmethCoreEvents]?: Effect<EmethCoreEvents[Name]> } = {
  JobRequested(model, { jobId, requester, fee, verifierFee, burnFee }) {
    const amounts = { feeWei: fee, extraWei: verifierFee + burnFee, bondWei: 0n, payoutWei: 0n };
    model.jobs.set(jobId, { state: 'REQUESTED', requester, node: '', ...amounts });
  },
  JobCanceled(model, { refund }, job) {
    job.state = 'CANCELED';
    model.owe(job.requester, refund);
  },
  JobExpired(model, { refund }, job) {
    job.state = 'TIMEOUT';
    model.owe(job.requester, refund);
  },
  JobProcessing(_model, { node }, job) {
    job.state = 'PROCESSING';
    job.node = node;
  },
  JobDeclined(model, { node, reopened, returned, penalty, refund }, job) {
    job.state = reopened ? 'REQUESTED' : 'DECLINED';
    job.node = '';
    model.owe(node, returned);
    model.forfeit(node, penalty);
    model.owe(job.requester, refund);
  },
  JobTimedOut(model, { refund, returned, penalty, caller, tip }, job) {
    job.state = 'TIMEOUT';
    model.owe(job.requester, refund);
    model.owe(job.node, returned);
    model.forfeit(job.node, penalty);
    model.owe(caller, tip);
  },
  JobSubmitted(_model, { payout }, job) {
    job.state = 'SUBMITTED';
    job.payoutWei = payout;
  },
  JobVerified(model, { node, payout, refund, deposit, slot, burnt, verifier, verifierFee }, job) {
    job.state = 'VERIFIED';
    job.payoutWei = payout;
    model.owe(job.requester, refund);
    model.owe(node, deposit);
    model.forfeit(node, burnt);
    model.book(slot, node, burnt);
    model.owe(verifier, verifierFee);
  },
  JobRejected(model, { refund, returned, penalty, verifier, verifierFee }, job) {
    job.state = 'FAILED';
    job.payoutWei = 0n;
    model.owe(job.requester, refund);
    model.owe(job.node, returned);
    model.forfeit(job.node, penalty);
    model.owe(verifier, verifierFee);
  },
  JobChallenged(_model, { bond }, job) {
    job.state = 'DISPUTED';
    job.bondWei = bond;
  },
  ChallengeDecided(model, { challenger, returned, toNode, penalty }, job) {
    model.owe(challenger, returned);
    model.owe(job.node, toNode);
    model.forfeit(challenger, penalty);
  },
  JobUnwound(model, { refund, deposit, challenger, bond }, job) {
    job.state = 'UNVERIFIED';
    job.payoutWei = 0n;
    model.owe(job.requester, refund);
    model.owe(job.node, deposit);
    model.owe(challenger, bond);
  },
  WorkerPaid(model, { worker, amount }, job) {
    job.payoutWei -= amount;
    model.owe(worker, amount);
  },
  PaySwept(model, { node, amount }, job) {
    job.payoutWei -= amount;
    model.owe(node, amount);
  },
  Deposited: (model, { account, amount }) => model.owe(account, amount),
  CreditUsed: (model, { account, amount }) => model.owe(account, 0n - amount),
  Withdrawn: (model, { account, amount }) => model.owe(account, 0n - amount),
  WithdrawalRelayed(model, { account, relayer, tip }) {
    model.owe(account, 0n - tip);
    model.owe(relayer, tip);
  },
  Burnt: (model, { account, amount }) => model.forfeit(account, 0n - amount),
  NodeActivityChanged: (model, { node, active }) => void model.active.set(node, active),
};

function lockedIn(job: ModelJob): bigint {
  const requested = job.feeWei + job.extraWei;
  switch (job.state) {
    case 'REQUESTED':
      return requested;
    case 'PROCESSING':
    case 'SUBMITTED':
      return requested + job.feeWei;
    case 'DISPUTED':
      return requested + job.feeWei + job.bondWei;
    case 'VERIFIED':
      return job.payoutWei;
    default:
      return 0n;
  }
}

function sum(amounts: Iterable<bigint>): bigint {
  return [...amounts].reduce((total, amount) => total + amount, 0n);
}
