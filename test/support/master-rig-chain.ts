/** The chain as a master under test sees it: a contract in memory with the table of docs/escrow.md. */
import { buildPayouts } from '../../src/chain/acts/payouts';
import type { CoreEvent } from '../../src/chain/contract/events';
import { printBlobReference } from '../../src/domain/blob-reference';
import { Address, type JobId } from '../../src/domain/ids';
import type { ChainState } from '../../src/domain/job';
import type { Share } from '../../src/domain/shares';
import type { Clock } from '../../src/lib/clock';
import { AppError } from '../../src/lib/errors';
import type { MasterChain } from '../../src/master/ports';

/** What becomes of a submitted result; `none`: nobody judges it in its window. */
export type Judgement = 'verified' | 'rejected' | 'none' | 'disputed, then verified' | 'disputed, then none';

/** How long after its submission a result is judged. */
const JUDGED_AFTER_MS = 5000;
/** How long a result may be judged or challenged. */
const WINDOW_MS = 30_000;
/** A job given back later than this before its deadline is not open for others again. */
const MIN_WORK_MS = 60_000;
/** How long after its block an event is final. */
const FINAL_AFTER_MS = 2000;

type Result = Parameters<MasterChain['submit']>[1];
interface ContractJob {
  state: ChainState;
  node?: Address | undefined;
  deadlineMs: number;
  feeWei: bigint;
  fuelLimit: bigint;
  result?: Result | undefined;
}
type Act = Exclude<keyof MasterChain, 'chainId' | 'contract' | 'job' | 'minWorkMs' | 'payoutRoot'>;
/** Of an event, all that is not the same for every one of them here. */
type News = CoreEvent extends infer E ? (E extends CoreEvent ? Omit<E, keyof Place> : never) : never;
interface Place {
  blockNumber: number;
  blockHash: string;
  txHash: string;
  logIndex: number;
}

export const stranger = Address.parse(`0x${'5e'.repeat(20)}`);
const requester = Address.parse(`0x${'4e'.repeat(20)}`);
const block = (blockNumber: number): Place => {
  const hash = `0x${blockNumber.toString(16).padStart(64, '0')}`;
  return { blockNumber, blockHash: hash, txHash: hash, logIndex: 0 };
};

/** Every act is mined at once; what it did becomes final, and known to the master, a little later. */
export class PlayedChain implements MasterChain {
  readonly chainId = 31337;
  readonly contract = Address.parse(`0x${'c0'.repeat(20)}`);
  /** The master's transactions that were mined and did something, in order. */
  readonly mined: Act[] = [];
  /** What the contract owes to node and workers. */
  readonly credits = new Map<Address, bigint>();
  judgement: Judgement = 'verified';
  private readonly jobs = new Map<JobId, ContractJob>();
  private readonly log: { event: CoreEvent; finalAtMs: number }[] = [];

  constructor(
    private readonly node: Address,
    private readonly clock: Clock,
  ) {}

  request(jobId: JobId, job: Pick<ContractJob, 'deadlineMs' | 'feeWei' | 'fuelLimit'>, params: string): void {
    this.jobs.set(jobId, { ...job, state: 'REQUESTED' });
    this.emit({ type: 'JobRequested', jobId, requester, dataset: 'sha256:data', params, ...job });
  }

  /** Events after a block that are final by now, at most one block of them. */
  eventsAfter(blockNumber: number): readonly CoreEvent[] {
    const next = this.log[blockNumber];
    return next && next.finalAtMs <= this.clock.now() ? [next.event] : [];
  }

  async job(jobId: JobId): Promise<{ state: ChainState; node?: Address | undefined; deadlineMs: number }> {
    const { state, node, deadlineMs } = this.find(jobId);
    return { state, node, deadlineMs };
  }

  async minWorkMs(): Promise<number> {
    return MIN_WORK_MS;
  }

  async process(jobId: JobId): Promise<void> {
    const job = this.find(jobId);
    this.require(job.state === 'REQUESTED' && this.clock.now() < job.deadlineMs, 'process', job);
    this.mine('process');
    this.takenBy(jobId, this.node);
  }

  async decline(jobId: JobId): Promise<void> {
    const job = this.find(jobId);
    this.require(job.state === 'PROCESSING' && job.node === this.node, 'decline', job);
    this.mine('decline');
    this.giveBack(jobId);
  }

  async submit(jobId: JobId, result: Result): Promise<void> {
    if (this.mined.includes('submit')) return;
    const job = this.find(jobId);
    const isOurs = job.state === 'PROCESSING' && job.node === this.node;
    this.require(isOurs && this.clock.now() <= job.deadlineMs, 'submit', job);
    this.mine('submit');
    Object.assign(job, { state: 'SUBMITTED', deadlineMs: this.clock.now() + WINDOW_MS, result });
    const payoutWei = payoutOf(job);
    const named = printBlobReference(result.resultHash.slice(2));
    this.emit({ type: 'JobSubmitted', jobId, node: this.node, ...result, payoutWei, result: named });
    void this.judge(jobId);
  }

  async finalize(jobId: JobId): Promise<void> {
    if (this.mined.includes('finalize')) return;
    const job = this.find(jobId);
    this.require(job.state === 'SUBMITTED' && this.clock.now() > job.deadlineMs, 'finalize', job);
    this.mine('finalize');
    this.end(jobId, 'VERIFIED');
  }

  async unwind(jobId: JobId): Promise<void> {
    if (this.mined.includes('unwind')) return;
    const job = this.find(jobId);
    this.require(job.state === 'DISPUTED' && this.clock.now() > job.deadlineMs, 'unwind', job);
    this.mine('unwind');
    this.end(jobId, 'UNVERIFIED');
  }

  async payWorkers(jobId: JobId, resultHash: string, shares: readonly Share[]): Promise<void> {
    if (this.mined.includes('payWorkers')) return;
    const job = this.find(jobId);
    const isCommitted = resultHash === job.result?.resultHash && this.payoutRoot(shares) === job.result.payoutRoot;
    this.require(job.state === 'VERIFIED' && isCommitted, 'payWorkers', job);
    this.mine('payWorkers');
    for (const { worker, amountWei } of shares) this.credits.set(worker, (this.credits.get(worker) ?? 0n) + amountWei);
  }

  payoutRoot(shares: readonly Share[]): string {
    return buildPayouts(shares).root;
  }

  /** What the contract pays for the submitted result; undefined while there is none. */
  payoutWei(jobId: JobId): bigint | undefined {
    const job = this.find(jobId);
    return job.result && payoutOf(job);
  }

  /** Some node takes the job. */
  takenBy(jobId: JobId, node: Address): void {
    Object.assign(this.find(jobId), { state: 'PROCESSING', node });
    this.emit({ type: 'JobProcessing', jobId, node });
  }

  /** The node that has the job gives it back, as an operator may from the command line. */
  giveBack(jobId: JobId): void {
    const job = this.find(jobId);
    const node = job.node ?? this.node;
    const reopened = this.clock.now() + MIN_WORK_MS < job.deadlineMs;
    Object.assign(job, { state: reopened ? 'REQUESTED' : 'DECLINED', node: undefined });
    this.emit({ type: 'JobDeclined', jobId, node, reopened });
  }

  /** Ends the job, as its requester, a verifier or the clock may. */
  end(jobId: JobId, state: 'CANCELED' | 'TIMEOUT' | 'VERIFIED' | 'FAILED' | 'UNVERIFIED'): void {
    const types = {
      CANCELED: 'JobCanceled',
      TIMEOUT: 'JobTimedOut',
      VERIFIED: 'JobVerified',
      UNVERIFIED: 'JobUnwound',
    } as const;
    Object.assign(this.find(jobId), { state });
    if (state === 'FAILED') this.emit({ type: 'JobRejected', jobId, reasonHash: `0x${'7e'.repeat(16)}` });
    else this.emit({ type: types[state], jobId });
  }

  private async judge(jobId: JobId): Promise<void> {
    await this.clock.sleep(JUDGED_AFTER_MS);
    const job = this.find(jobId);
    if (job.state !== 'SUBMITTED' || this.judgement === 'none') return;
    if (this.judgement.startsWith('disputed')) {
      Object.assign(job, { state: 'DISPUTED', deadlineMs: this.clock.now() + WINDOW_MS });
      this.emit({ type: 'JobChallenged', jobId, challenger: stranger });
      await this.clock.sleep(JUDGED_AFTER_MS);
    }
    if (this.judgement.endsWith('none')) return;
    this.end(jobId, this.judgement === 'rejected' ? 'FAILED' : 'VERIFIED');
  }

  private find(jobId: JobId): ContractJob {
    const job = this.jobs.get(jobId);
    if (!job) throw new Error(`The contract has no job ${jobId}`);
    return job;
  }

  private mine(act: Act): void {
    this.mined.push(act);
  }

  private require(isAllowed: boolean, act: Act, { state }: ContractJob): void {
    if (isAllowed) return;
    const detail = { code: 'chain/reverted', reason: `not in ${state}`, args: [], key: act };
    throw new AppError(detail, `The contract refused ${act}: the job is ${state}.`);
  }

  private emit(news: News): void {
    const event: CoreEvent = { ...news, ...block(this.log.length + 1) };
    this.log.push({ event, finalAtMs: this.clock.now() + FINAL_AFTER_MS });
  }
}

function payoutOf({ feeWei, fuelLimit, result }: ContractJob): bigint {
  return (feeWei * (result?.fuelUsed ?? 0n)) / fuelLimit;
}
