/** Random histories of the escrow that get far, for `replay.test.ts`. */
import fc from 'fast-check';
import { type ChainState, chainStates } from '../../src/domain/job';
import { type Escrow, FEE, FUEL, type Role, roles, USED } from './escrow';
import type { ActName, Acts } from './escrow-acts';

const HOUR = 3600;
const DAY = 24 * HOUR;

/** One act of a history. `part` chooses among its variants; `seconds` pass before it. */
export interface Step {
  act: ActName;
  by: Role;
  part: number;
  jobId: string;
  seconds: number;
}

/** A step of an errand. Fields left out are random, and `by` is the act's usual role. */
type PlannedStep = Partial<Step> & { act: ActName };

/** The random part of a step; the rest follows from the history so far. */
export interface Choice {
  kind: 'job' | 'errand' | 'anything';
  pick: number;
  role: Role;
  isUsual: boolean;
  job: number;
  part: number;
  seconds: number;
}

export const anyChoice: fc.Arbitrary<Choice> = fc.record({
  kind: fc.oneof(
    { weight: 72, arbitrary: fc.constant('job' as const) },
    { weight: 23, arbitrary: fc.constant('errand' as const) },
    { weight: 5, arbitrary: fc.constant('anything' as const) },
  ),
  pick: fc.nat(10_000),
  role: fc.constantFrom(...roles),
  // One time in twenty another role tries.
  isUsual: fc.integer({ min: 0, max: 19 }).map((n) => n > 0),
  job: fc.nat(1000),
  part: fc.integer({ min: 0, max: 16 }),
  seconds: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.constantFrom(1900, 3700, DAY)),
});

/** Acts for a job in each state, before and after its deadline; an act listed more often is more likely. */
const next: Partial<Record<ChainState, Record<'inTime' | 'over', readonly ActName[]>>> = {
  REQUESTED: { inTime: [...Array<ActName>(12).fill('process'), 'cancel', 'expire'], over: ['expire'] },
  PROCESSING: { inTime: [...Array<ActName>(12).fill('submit'), 'decline', 'decline', 'timeout'], over: ['timeout'] },
  SUBMITTED: {
    inTime: [
      ...(['verify', 'verify', 'verifyBySignatures', 'verifyBySignatures', 'accept', 'accept'] as const),
      ...(['rejectResult', 'rejectBySignatures', 'challenge', 'challenge', 'challenge', 'challenge'] as const),
      ...(['finalize', 'finalize'] as const),
    ],
    over: ['finalize', 'finalize', 'accept', 'verifyBySignatures'],
  },
  DISPUTED: {
    inTime: ['verify', 'verifyBySignatures', 'rejectResult', 'rejectBySignatures', 'unwind'],
    over: ['unwind'],
  },
  VERIFIED: {
    inTime: [
      'payWorkers',
      'payWorkers',
      'payWorkers',
      'claimPay',
      'claimPay',
      'claimTwo',
      'claimTwo',
      'sweepUnclaimed',
    ],
    over: ['sweepUnclaimed', 'claimPay'],
  },
};
/** Acts that are possible only after the deadline; the step waits until then. */
const needsTime: readonly ActName[] = ['expire', 'timeout', 'finalize', 'unwind', 'sweepUnclaimed'];
const ofItsNode: readonly ActName[] = ['submit', 'decline', 'sweepUnclaimed'];

type Errand = (choice: Choice) => readonly PlannedStep[];

/** The `part` that stands for the role `node` in acts about nodes. */
const NODE = 0;
const someNode = ({ pick }: Choice) => [NODE, 1, 1, 1, 1, 2, 2, 2][(pick >> 4) % 8] as number;
/** Seconds; longer than any administration delay that an errand sets. */
const FOR_ADMIN = 4 * DAY;

const enrol = (node: number): PlannedStep =>
  node === NODE ? { act: 'register', by: 'node', part: 1 } : { act: 'registerOther', part: node - 1 };

/** Tasks of several steps; steps about jobs come in between. */
const errands: readonly Errand[] = [
  ({ part }) => [{ act: 'deposit' }, { act: 'withdraw', by: 'node' }, { act: 'withdrawWithSig', part: part >> 1 }],
  () => [{ act: 'withdraw', by: 'requester' }, { act: 'burn' }],
  () => [{ act: 'depositAndWithdraw' }],
  () => [{ act: 'claimSlots', seconds: DAY }],
  () => [{ act: 'setTerms' }],
  () => [{ act: 'setTerms', part: 3 }],
  () => [{ act: 'createOrganisation' }],
  ({ role, part }) => [
    { act: 'createOrganisation', by: role, part },
    { act: 'register', by: role, part: 2 * part },
  ],
  (choice) => [
    { ...enrol(1 + (choice.part % 2)) },
    { act: 'addStake', part: 3 + someNode(choice) },
    { act: 'setCapability', part: someNode(choice), by: 'node' },
  ],
  (choice) => [{ act: 'deactivate', part: someNode(choice) }],
  (choice) => [
    { act: 'deactivate', part: someNode(choice), jobId: 'leaves' },
    { act: 'withdrawStake', part: someNode(choice), seconds: 7 * DAY },
    enrol(someNode(choice)),
  ],
  (choice) => [
    { act: 'proposePayout', part: someNode(choice) },
    { act: 'cancelPayoutChange', part: someNode(choice), by: 'node' },
  ],
  (choice) => [
    { act: 'proposePayout', part: someNode(choice) },
    { act: 'confirmPayout', part: someNode(choice), seconds: 2 * DAY },
  ],
  () => [
    { act: 'offerOrganisation', part: 1 },
    { act: 'takeOrganisation', by: 'other' },
    { act: 'setCapability', part: NODE, by: 'other' },
    { act: 'offerOrganisation', part: NODE, by: 'other' },
    { act: 'takeOrganisation', by: 'node' },
  ],
  () => [
    { act: 'proposePayout', part: NODE },
    { act: 'confirmPayout', part: NODE, seconds: 2 * DAY },
  ],
  () => [{ act: 'setPaused', part: 0 }],
  () => [{ act: 'setRegistry', part: 1 }],
  () => [{ act: 'setRegistry', part: 3 }, { act: 'setActive', part: 0 }, { act: 'setActive' }],
  () => [{ act: 'grantRole' }],
  () => [{ act: 'revokeRole' }],
  () => [{ act: 'renounceRole', by: 'verifier2', part: 1 }],
  ({ part }) => [{ act: 'beginDefaultAdminTransfer', part: part % 2 }, { act: 'cancelDefaultAdminTransfer' }],
  () => [
    { act: 'beginDefaultAdminTransfer', part: 1 },
    { act: 'acceptDefaultAdminTransfer', by: 'stranger', seconds: FOR_ADMIN },
    { act: 'beginDefaultAdminTransfer', by: 'stranger', part: 0 },
    { act: 'acceptDefaultAdminTransfer', seconds: FOR_ADMIN },
  ],
  ({ part }) => [{ act: 'changeDefaultAdminDelay', part: part % 4 }, { act: 'rollbackDefaultAdminDelay' }],
  ({ part }) => [
    { act: 'changeDefaultAdminDelay', part: part % 4 },
    { act: 'changeDefaultAdminDelay', part: 2, seconds: FOR_ADMIN },
  ],
];
/** Makes a second verifier, and a node of `other`. */
const prelude: readonly PlannedStep[] = [{ act: 'grantRole', part: 0 }, enrol(1)];
/** Makes a node active again, whatever the reason it may take no job. */
const revival: readonly PlannedStep[] = [{ act: 'reactivate', part: NODE }, { act: 'sync', part: NODE }, enrol(NODE)];
/** The administrator resigns, after which nothing can be governed. */
const ending: readonly PlannedStep[] = [
  { act: 'beginDefaultAdminTransfer', part: 2 },
  { act: 'renounceAdmin', seconds: FOR_ADMIN },
];

const claimLater = ({ part }: Step): readonly PlannedStep[] =>
  part % 3 ? [] : [{ act: 'claimSlots', by: 'node', seconds: DAY }];

/** Steps that soon follow an act, mostly because later acts would be refused otherwise. */
const follows: Partial<Record<ActName, (done: Step) => readonly PlannedStep[]>> = {
  verify: claimLater,
  accept: claimLater,
  setPaused: ({ part }) => (part % 4 === 0 ? [{ act: 'setPaused', part: 1 }] : []),
  setRegistry({ part }) {
    const synced = [NODE, 1].map((node) => ({ act: 'sync' as const, part: node }));
    return part % 2 === 0 ? synced : [{ act: 'setRegistry', part: 0 }];
  },
  setTerms: ({ part }) => (part % 4 === 3 ? [{ act: 'setTerms', part: part - 1 }] : []),
  revokeRole: ({ part }) => [{ act: 'grantRole', part }],
  renounceRole: () => [0, 1, 3].map((part) => ({ act: 'grantRole', part })),
  deactivate: ({ part, jobId }) => (jobId === 'leaves' ? [] : [{ act: 'reactivate', part }]),
};

/** Counts over all histories together. */
export interface Tally {
  acts: Map<ActName, number>;
  states: Map<ChainState, number>;
  refused: Map<ActName, number>;
  errands: number;
}

/** A job's state and the time it has left. */
interface Seen {
  state: ChainState;
  node: Role;
  payout: bigint;
  secondsLeft: number;
}

const count = <K>(tally: Map<K, number>, key: K) => tally.set(key, (tally.get(key) ?? 0) + 1);
/** The index that is claimed first; it differs between jobs, so that not all pay in the same order. */
const firstClaimOf = (jobId: string) => Number.parseInt(jobId.slice(-2), 16) % 3;

function waitFor(act: ActName, { secondsLeft }: Seen, { part }: Choice): number {
  if (needsTime.includes(act)) return Math.max(0, secondsLeft + 1);
  // Usually waits until it is too late for another node.
  const isLate = act === 'decline' && part % 5 > 0 && (secondsLeft < 2 * DAY || part % 4 === 0);
  return isLate ? Math.max(0, secondsLeft - 30) : 0;
}

function request(choice: Choice): Step {
  const act = choice.pick % 3 ? 'request' : 'requestWithPermit';
  return { act, by: 'requester', part: choice.part, jobId: '', seconds: 0 };
}

/**
 * A random history that reaches every state: mostly acts that suit the state of one of a few jobs, with
 * errands in between, and a few times any act by any role.
 */
export class Walk {
  readonly jobIds: string[] = [];
  /** Jobs that have not ended. */
  readonly live: string[] = [];
  private readonly claims = new Map<string, number>();
  private readonly errand: PlannedStep[] = [...prelude];
  /** Steps that must follow soon. */
  private readonly followUps: PlannedStep[] = [];

  constructor(
    private readonly escrow: Escrow,
    private readonly acts: Acts,
    private readonly tally: Tally,
  ) {}

  /** Performs the choice, refused or not; throws any error that is no refusal by a contract. */
  async take(choice: Choice): Promise<void> {
    const step = await this.plan(choice);
    try {
      await this.attempt(step);
      count(this.tally.acts, step.act);
    } catch (error) {
      if (!/^Error: (EmethCore_|NodeRegistry_|RewardPool_|AccessControl)/.test(String(error))) throw error;
      count(this.tally.refused, step.act);
      const isRevived = step.act !== 'process' || step.by !== 'node' || this.followUps.length > 0;
      if (!isRevived) this.followUps.push(...revival);
    }
  }

  /** Begins the end of the history: pending follow-ups first, then the administrator resigns. */
  end(): void {
    this.errand.splice(0, this.errand.length, ...this.followUps.splice(0), ...ending);
  }

  private async attempt(step: Step): Promise<void> {
    const { act, jobId, seconds } = step;
    if (seconds) await this.escrow.warp(seconds);
    const requested = await this.acts.perform(act, step);
    if (requested) for (const list of [this.jobIds, this.live]) list.push(requested);
    if (act === 'claimPay') this.claims.set(jobId, this.claimsOf(jobId) + 1);
    if (act === 'claimTwo') this.claims.set(jobId, this.claimsOf(jobId) + 2);
    this.followUps.push(...(follows[act]?.(step) ?? []));
  }

  private async plan(choice: Choice): Promise<Step> {
    if (choice.kind === 'anything') return this.anything(choice);
    const isDue = this.followUps.length > 0 && choice.job % 2 === 0;
    if (choice.kind === 'errand' || isDue) return this.nextOfErrand(choice);
    const step = await this.advance(choice);
    return choice.isUsual ? step : { ...step, by: choice.role };
  }

  private anything(choice: Choice): Step {
    const everything = Object.values(this.acts.names).flat();
    const jobId = this.jobIds.at(-1 - (choice.job % 8)) ?? `0x${'00'.repeat(16)}`;
    const act = everything[choice.pick % everything.length] as ActName;
    return { act, by: choice.role, part: choice.part, jobId, seconds: choice.seconds };
  }

  private nextOfErrand(choice: Choice): Step {
    if (this.errand.length + this.followUps.length === 0) {
      // The stride and the number of errands have no common factor, so every errand comes up.
      const begun = errands[(this.tally.errands * 7) % errands.length] as Errand;
      this.tally.errands += 1;
      this.errand.push(...begun(choice));
    }
    const { act, ...planned } = (this.errand.shift() ?? this.followUps.shift()) as PlannedStep;
    const by = this.acts.usual(act) ?? choice.role;
    return { act, by, part: choice.part, jobId: this.jobIds.at(-1) ?? '', seconds: 0, ...planned };
  }

  /** Plans the next step of one of the jobs; jobs that have ended leave the list here. */
  private async advance(choice: Choice): Promise<Step> {
    const jobId = this.live[(choice.job >> 1) % 3];
    if (!jobId) return request(choice);
    const seen = await this.look(jobId);
    count(this.tally.states, seen.state);
    const calls = this.callsOf(jobId, seen, choice);
    if (calls.length === 0) {
      this.live.splice(this.live.indexOf(jobId), 1);
      return request(choice);
    }
    const act = calls[choice.pick % calls.length] as ActName;
    const usual = ofItsNode.includes(act) ? seen.node : (this.acts.usual(act) ?? choice.role);
    const by = act === 'process' && choice.role === 'other' ? 'other' : usual;
    return { act, by, jobId, part: this.variantOf(act, jobId, choice), seconds: waitFor(act, seen, choice) };
  }

  private async look(jobId: string): Promise<Seen> {
    type Job = { state: bigint; node: string; payout: bigint; deadline: bigint };
    const [job, now] = await Promise.all([this.escrow.read<Job>('jobs', jobId), this.escrow.now()]);
    return {
      state: chainStates[Number(job.state)] as ChainState,
      node: roles.find((role) => this.escrow.address[role] === job.node.toLowerCase()) ?? 'node',
      payout: job.payout,
      secondsLeft: Number(job.deadline - now),
    };
  }

  /** Returns acts that suit a job's state; none if it has ended or only waiting is left. */
  private callsOf(jobId: string, seen: Seen, { part }: Choice): readonly ActName[] {
    if (seen.state === 'VERIFIED' && seen.payout === 0n) return [];
    // Waiting for weeks would end all other jobs, so it is rare.
    const mayWait = seen.secondsLeft < 2 * DAY || part % 4 === 0;
    const calls = next[seen.state]?.[seen.secondsLeft < 0 ? 'over' : 'inTime'] ?? [];
    return calls.filter((act) => this.isPossible(act, jobId, seen) && (mayWait || !needsTime.includes(act)));
  }

  private isPossible(act: ActName, jobId: string, { payout }: Seen): boolean {
    if (act === 'payWorkers') return payout === (FEE * USED) / FUEL;
    if (act !== 'claimPay' && act !== 'claimTwo') return true;
    const claims = act === 'claimPay' ? 1 : 2;
    const first = firstClaimOf(jobId) + this.claimsOf(jobId);
    const claimed = [first, first + 1].slice(0, claims).map((index) => this.escrow.payees[index % 3]?.amount ?? 0n);
    return this.claimsOf(jobId) + claims <= 3 && claimed.reduce((sum, amount) => sum + amount) <= payout;
  }

  /** Returns the variant of an act on a job that is likely to succeed. */
  private variantOf(act: ActName, jobId: string, { part, pick }: Choice): number {
    if (act === 'submit') return pick % 5 ? 10 : part;
    if (act === 'claimPay' || act === 'claimTwo') return firstClaimOf(jobId) + this.claimsOf(jobId);
    return part;
  }

  private claimsOf(jobId: string): number {
    return this.claims.get(jobId) ?? 0;
  }
}
