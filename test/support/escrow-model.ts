/** The escrow as its events alone describe it, for `replay.test.ts`. */
import { keccak256, ZeroAddress } from 'ethers';
import type { EmethCoreEvents } from '../../src/chain/generated/emeth-core';
import type { ChainState } from '../../src/domain/job';
import type { TimedEvent } from './chain-log';
import { GovernanceModel } from './governance-model';

/** A job as `jobs` shows it. */
export interface StoredJob {
  state: ChainState;
  requester: string;
  node: string;
  fee: bigint;
  fuelLimit: bigint;
  deadline: bigint;
  termsId: bigint;
  payout: bigint;
  commitment: string;
  challenger: string;
}

export interface ModelJob extends StoredJob {
  /** Verifier fee and burn fee of a full payout, on top of the fee. */
  extraWei: bigint;
  bondWei: bigint;
  /** Indices of the payout list that were paid. */
  paid: Set<bigint>;
}

const NO_RESULT = `0x${'00'.repeat(20)}`;
const NO_JOB = {
  requester: ZeroAddress,
  node: ZeroAddress,
  fee: 0n,
  fuelLimit: 0n,
  deadline: 0n,
  termsId: 0n,
  payout: 0n,
  commitment: NO_RESULT,
};

/** Events that OpenZeppelin's contracts declare and these contracts never emit. */
export const neverEmitted = ['EIP712DomainChanged', 'RoleAdminChanged'] as const;

/**
 * The escrow rebuilt from its events and their times alone. If it differs from the contract's storage, an
 * event is wrong or money is lost. An unknown event, or one that contradicts earlier ones, throws.
 */
export class EscrowModel {
  readonly governance = new GovernanceModel();
  readonly jobs = new Map<string, ModelJob>();
  readonly credits = new Map<string, bigint>();
  readonly forfeits = new Map<string, bigint>();
  /** Withdrawals by signature, by account. */
  readonly nonces = new Map<string, bigint>();
  /** Amounts burnt, by `slot` and by `slot:node`. */
  readonly slots = new Map<string, bigint>();
  /** Tokens that left the supply. */
  burntWei = 0n;

  /** Returns the tokens that the contract must hold. */
  liabilitiesWei(): bigint {
    return sum(this.credits.values()) + sum(this.forfeits.values()) + sum([...this.jobs.values()].map(lockedIn));
  }

  apply({ event, at }: TimedEvent): void {
    const governed = this.governance.effects[event.name as Governed] as GovernedEffect | undefined;
    if (governed) return governed(event.args, at);
    const effect = effects[event.name as OwnEvent] as Effect<unknown> | undefined;
    if (!effect) throw new Error(`The model knows no ${event.name}`);
    const isOfJob = event.fragment.inputs.some(({ name }) => name === 'jobId');
    const job = isOfJob ? this.jobs.get(event.args['jobId']) : undefined;
    if (isOfJob && !job && event.name !== 'JobRequested') throw new Error(`${event.name} of an unknown job`);
    effect(this, event.args, { job: job as ModelJob, at });
  }

  owe(account: string, amount: bigint): void {
    const credit = (this.credits.get(account) ?? 0n) + amount;
    if (credit < 0n) throw new Error(`${account} spent more than it has`);
    this.credits.set(account, credit);
  }

  book(slot: bigint, node: string, burnt: bigint): void {
    for (const key of [`${slot}`, `${slot}:${node}`]) this.slots.set(key, (this.slots.get(key) ?? 0n) + burnt);
  }

  forfeit(account: string, amount: bigint): void {
    this.forfeits.set(account, (this.forfeits.get(account) ?? 0n) + amount);
  }

  /** Returns the end of a window that begins at `at`, by the job's own terms. */
  endOf(window: 'verdictWindow' | 'claimWindow', job: ModelJob, at: bigint): bigint {
    const terms = this.governance.terms.get(job.termsId);
    if (!terms) throw new Error(`There are no terms ${job.termsId}`);
    return at + terms[window];
  }
}

interface Context {
  job: ModelJob;
  at: bigint;
}
type Effect<Args> = (model: EscrowModel, args: Args, context: Context) => void;
type Governed = keyof GovernanceModel['effects'];
type GovernedEffect = (args: unknown, at: bigint) => void;
type OwnEvent = Exclude<keyof EmethCoreEvents, Governed | (typeof neverEmitted)[number]>;

/** Throws unless an event repeats a known value unchanged. */
function agree(given: unknown, known: unknown): void {
  if (given !== known) throw new Error(`An event names ${given} where ${known} is known`);
}

/** Ends a job without a result: only its state and its challenger are kept. */
function end(job: ModelJob, state: ChainState): void {
  Object.assign(job, NO_JOB, { state });
}

const effects: { [Name in OwnEvent]: Effect<EmethCoreEvents[Name]> } = {
  JobRequested(model, { jobId, requester, fee, verifierFee, burnFee, fuelLimit, deadline, termsId }) {
    if (model.jobs.has(jobId)) throw new Error(`Job ${jobId} was requested twice`);
    agree(termsId, model.governance.currentTerms);
    const asked = {
      state: 'REQUESTED' as const,
      requester,
      fee,
      fuelLimit,
      deadline,
      termsId,
      challenger: ZeroAddress,
    };
    model.jobs.set(jobId, { ...NO_JOB, ...asked, extraWei: verifierFee + burnFee, bondWei: 0n, paid: new Set() });
  },
  JobCanceled(model, { refund }, { job }) {
    model.owe(job.requester, refund);
    end(job, 'CANCELED');
  },
  JobExpired(model, { refund }, { job }) {
    model.owe(job.requester, refund);
    end(job, 'TIMEOUT');
  },
  JobProcessing(_model, { node, deposit }, { job }) {
    agree(deposit, job.fee);
    Object.assign(job, { state: 'PROCESSING', node });
  },
  JobDeclined(model, { node, reopened, returned, penalty, refund }, { job }) {
    agree(node, job.node);
    model.owe(node, returned);
    model.forfeit(node, penalty);
    model.owe(job.requester, refund);
    if (reopened) Object.assign(job, { state: 'REQUESTED', node: ZeroAddress });
    else end(job, 'DECLINED');
  },
  JobTimedOut(model, { node, refund, returned, penalty, caller, tip }, { job }) {
    agree(node, job.node);
    model.owe(job.requester, refund);
    model.owe(node, returned);
    model.forfeit(node, penalty);
    model.owe(caller, tip);
    end(job, 'TIMEOUT');
  },
  JobSubmitted(model, { node, resultHash, payoutRoot, payout }, { job, at }) {
    agree(node, job.node);
    const commitment = keccak256(`${resultHash}${payoutRoot.slice(2)}`).slice(0, 42);
    Object.assign(job, { state: 'SUBMITTED', payout, commitment, deadline: model.endOf('verdictWindow', job, at) });
  },
  JobVerified(model, { node, payout, refund, deposit, slot, burnt, verifier, verifierFee }, { job, at }) {
    agree(node, job.node);
    agree(payout, job.payout);
    agree(slot, at / 86_400n);
    Object.assign(job, { state: 'VERIFIED', deadline: model.endOf('claimWindow', job, at) });
    model.owe(job.requester, refund);
    model.owe(node, deposit);
    model.forfeit(node, burnt);
    model.book(slot, node, burnt);
    model.owe(verifier, verifierFee);
  },
  JobRejected(model, { refund, returned, penalty, verifier, verifierFee }, { job }) {
    model.owe(job.requester, refund);
    model.owe(job.node, returned);
    model.forfeit(job.node, penalty);
    model.owe(verifier, verifierFee);
    end(job, 'FAILED');
  },
  JobChallenged(model, { challenger, bond }, { job, at }) {
    const deadline = model.endOf('verdictWindow', job, at);
    Object.assign(job, { state: 'DISPUTED', challenger, bondWei: bond, deadline });
  },
  // The contract decides a justified challenge before it ends the job, and an unjustified one after that.
  ChallengeDecided(model, { challenger, returned, toNode, penalty }, { job }) {
    agree(challenger, job.challenger);
    model.owe(challenger, returned);
    model.owe(job.node, toNode);
    model.forfeit(challenger, penalty);
  },
  JobUnwound(model, { refund, deposit, challenger, bond }, { job }) {
    agree(challenger, job.challenger);
    agree(bond, job.bondWei);
    model.owe(job.requester, refund);
    model.owe(job.node, deposit);
    model.owe(challenger, bond);
    end(job, 'UNVERIFIED');
  },
  WorkerPaid(model, { worker, index, amount }, { job }) {
    if (job.paid.has(index)) throw new Error(`Payee ${index} was paid twice`);
    job.paid.add(index);
    job.payout -= amount;
    model.owe(worker, amount);
  },
  PaySwept(model, { node, amount }, { job }) {
    agree(node, job.node);
    job.payout -= amount;
    model.owe(node, amount);
  },
  Deposited: (model, { account, amount }) => model.owe(account, amount),
  CreditUsed: (model, { account, amount }) => model.owe(account, 0n - amount),
  Withdrawn: (model, { account, amount }) => model.owe(account, 0n - amount),
  WithdrawalRelayed(model, { account, relayer, tip }) {
    model.owe(account, 0n - tip);
    model.owe(relayer, tip);
    model.nonces.set(account, (model.nonces.get(account) ?? 0n) + 1n);
  },
  Burnt(model, { account, amount }) {
    agree(amount, model.forfeits.get(account) ?? 0n);
    model.forfeits.set(account, 0n);
    model.burntWei += amount;
  },
};

function lockedIn(job: ModelJob): bigint {
  const requested = job.fee + job.extraWei;
  switch (job.state) {
    case 'REQUESTED':
      return requested;
    case 'PROCESSING':
    case 'SUBMITTED':
      return requested + job.fee;
    case 'DISPUTED':
      return requested + job.fee + job.bondWei;
    case 'VERIFIED':
      return job.payout;
    default:
      return 0n;
  }
}

function sum(amounts: Iterable<bigint>): bigint {
  return [...amounts].reduce((total, amount) => total + amount, 0n);
}
