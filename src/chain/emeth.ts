import { hexlify, Interface, randomBytes } from 'ethers';
import type { Address, JobId } from '../domain/ids';
import { JobId as JobIdSchema } from '../domain/ids';
import type { Share } from '../domain/shares';
import { AppError } from '../lib/errors';
import type { Chain } from './client';
import { coreInterface, decodeEvent } from './events';
import { emethTokenAbi } from './generated/emeth-token';
import type { Sender } from './sender';

const tokenInterface = new Interface(emethTokenAbi);

export type EmethError = { code: 'chain/not-enough-tokens'; account: Address; haveWei: bigint; needWei: bigint };

export interface JobRequest {
  dataset: string;
  params: string;
  feeWei: bigint;
  fuelLimit: bigint;
  deadlineMs: number;
}

/** A submitted result, as every later call must name it. */
export interface ResultRef {
  jobId: JobId;
  resultHash: string;
  payoutRoot: string;
}

/** The contract's verbs for one account. Each is an intent of its own, so repeating a finished one changes nothing. */
export interface Emeth {
  readonly address: Address;
  /** Requests a job; approves what credit does not cover. */
  request(job: JobRequest): Promise<{ jobId: JobId; hash: string }>;
  cancel(jobId: JobId): Promise<{ hash: string }>;
  accept(jobId: JobId): Promise<{ hash: string }>;
  /** Takes a job, with a deposit as high as its fee. */
  process(jobId: JobId): Promise<{ hash: string }>;
  decline(jobId: JobId): Promise<{ hash: string }>;
  submit(ref: ResultRef, fuelUsed: bigint, reference: string): Promise<{ hash: string }>;
  finalize(jobId: JobId): Promise<{ hash: string }>;
  /** Ends a dispute nobody decided in its window: everybody gets back what they put in. */
  unwind(jobId: JobId): Promise<{ hash: string }>;
  verify(ref: ResultRef): Promise<{ hash: string }>;
  rejectResult(ref: ResultRef, reasonHash: string): Promise<{ hash: string }>;
  /** Credits everybody of a payout list of at most 16. */
  payWorkers(jobId: JobId, resultHash: string, shares: readonly Share[]): Promise<{ hash: string }>;
  withdraw(to: Address, amountWei: bigint): Promise<{ hash: string }>;
  estimateWithdrawWei(to: Address, amountWei: bigint): Promise<bigint>;
}

export function openEmeth(chain: Chain, sender: Sender): Emeth {
  const { address } = sender;
  const call = (key: string, method: string, args: readonly unknown[]) =>
    sender.send({ key, to: chain.core, data: encode(method, args) });
  /** A decline may be followed by another process of the same job: each try of such a pair is an act of its own. */
  const once = (jobId: JobId, method: string, ...args: unknown[]) =>
    call(`${jobId}:${method}`, method, [jobId, ...args]);
  const again = (jobId: JobId, method: string) => call(`${jobId}:${method}:${unique()}`, method, [jobId]);

  /** Makes sure the contract can collect `needWei` from credit and tokens. */
  async function fund(needWei: bigint): Promise<void> {
    const credit = await chain.credit(address);
    const missingWei = needWei > credit ? needWei - credit : 0n;
    if (missingWei === 0n) return;
    const haveWei = await chain.tokenBalance(address);
    if (haveWei < missingWei) {
      throw new AppError<EmethError>(
        { code: 'chain/not-enough-tokens', account: address, haveWei, needWei: missingWei },
        `${address} has ${haveWei} wei of EMT and needs ${missingWei}; send it the difference.`,
      );
    }
    if ((await chain.allowance(address)) >= missingWei) return;
    const data = tokenInterface.encodeFunctionData('approve', [chain.core, missingWei]);
    await sender.send({ key: `approve:${unique()}`, to: chain.token, data });
  }

  return {
    address,
    async request(job) {
      const bps = await chain.verifierBps();
      await fund(job.feeWei + (job.feeWei * BigInt(bps)) / 10_000n);
      const salt = hexlify(randomBytes(32));
      const deadline = Math.floor(job.deadlineMs / 1000);
      const args = [job.dataset, job.params, job.feeWei, job.fuelLimit, deadline, salt];
      const { hash } = await call(`request:${salt}`, 'request', args);
      return { jobId: await jobOf(chain, hash), hash };
    },
    cancel: (jobId) => once(jobId, 'cancel'),
    accept: (jobId) => once(jobId, 'accept'),
    async process(jobId) {
      await fund((await chain.job(jobId)).feeWei);
      return again(jobId, 'process');
    },
    decline: (jobId) => again(jobId, 'decline'),
    submit: ({ jobId, resultHash, payoutRoot }, fuelUsed, reference) =>
      once(jobId, 'submit', resultHash, fuelUsed, payoutRoot, reference),
    finalize: (jobId) => once(jobId, 'finalize'),
    unwind: (jobId) => once(jobId, 'unwind'),
    verify: ({ jobId, resultHash, payoutRoot }) => once(jobId, 'verify', resultHash, payoutRoot, []),
    rejectResult: ({ jobId, resultHash, payoutRoot }, reasonHash) =>
      once(jobId, 'rejectResult', resultHash, payoutRoot, reasonHash, []),
    payWorkers: (jobId, resultHash, shares) =>
      once(
        jobId,
        'payWorkers',
        resultHash,
        shares.map(({ worker, amountWei }) => ({ worker, amount: amountWei })),
      ),
    withdraw: (to, amountWei) => call(`withdraw:${unique()}`, 'withdraw', [to, amountWei]),
    estimateWithdrawWei: (to, amountWei) =>
      sender.estimateWei({ to: chain.core, data: encode('withdraw', [to, amountWei]) }),
  };
}

function encode(method: string, args: readonly unknown[]): string {
  return coreInterface.encodeFunctionData(method, args);
}

function unique(): string {
  return hexlify(randomBytes(8)).slice(2);
}

async function jobOf(chain: Chain, hash: string): Promise<JobId> {
  const receipt = await chain.provider.getTransactionReceipt(hash);
  for (const log of receipt?.logs ?? []) {
    if (log.address.toLowerCase() !== chain.core) continue;
    const event = decodeEvent(log);
    if (event?.type === 'JobRequested') return JobIdSchema.parse(event.jobId);
  }
  throw new Error(`Transaction ${hash} requested no job`);
}
