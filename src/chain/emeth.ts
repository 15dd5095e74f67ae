import { hexlify, Interface, randomBytes } from 'ethers';
import type { Address, JobId } from '../domain/ids';
import { JobId as JobIdSchema } from '../domain/ids';
import type { Share } from '../domain/shares';
import { AppError } from '../lib/errors';
import type { Chain } from './client';
import { coreInterface, decodeEvent } from './events';
import { emethTokenAbi } from './generated/emeth-token';
import { openQueue } from './queue';
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
  /** Ends a job nobody took before its deadline; anybody may. */
  expire(jobId: JobId): Promise<{ hash: string }>;
  /** Ends a job whose node missed the deadline; anybody may, and gets a tip. */
  timeout(jobId: JobId): Promise<{ hash: string }>;
  /** A verifier's word; with other verifiers' attestations (`sortAttestations`) where one is no quorum. */
  verify(ref: ResultRef, attestations?: readonly string[]): Promise<{ hash: string }>;
  rejectResult(ref: ResultRef, reasonHash: string, attestations?: readonly string[]): Promise<{ hash: string }>;
  /** Credits everybody of a payout list of at most 16. */
  payWorkers(jobId: JobId, resultHash: string, shares: readonly Share[]): Promise<{ hash: string }>;
  /** Credits one payee by its proof (`buildPayouts`); for lists too long for `payWorkers`. */
  claimPay(ref: ResultRef, share: Share, proof: readonly string[]): Promise<{ hash: string }>;
  withdraw(to: Address, amountWei: bigint): Promise<{ hash: string }>;
  estimateWithdrawWei(to: Address, amountWei: bigint): Promise<bigint>;
}

export function openEmeth(chain: Chain, sender: Sender): Emeth {
  const { address } = sender;
  // Two acts that count on the same credit and allowance must not look at them at the same time.
  const paying = openQueue();
  const once = (jobId: JobId, method: string, ...args: unknown[]) =>
    sender.send({ key: `${jobId}:${method}`, to: chain.core, data: encode(method, [jobId, ...args]) });
  /** May follow itself, as a process after a decline. */
  const again = (key: string, method: string, args: readonly unknown[]) =>
    sender.send({ key, to: chain.core, data: encode(method, args), repeatable: true });

  return {
    address,
    request: (job) => paying(() => request(chain, sender, job)),
    cancel: (jobId) => once(jobId, 'cancel'),
    accept: (jobId) => once(jobId, 'accept'),
    process: (jobId) =>
      paying(async () => {
        await fund(chain, sender, (await chain.job(jobId)).feeWei);
        return again(`${jobId}:process`, 'process', [jobId]);
      }),
    decline: (jobId) => again(`${jobId}:decline`, 'decline', [jobId]),
    submit: ({ jobId, resultHash, payoutRoot }, fuelUsed, reference) =>
      once(jobId, 'submit', resultHash, fuelUsed, payoutRoot, reference),
    expire: (jobId) => once(jobId, 'expire'),
    timeout: (jobId) => once(jobId, 'timeout'),
    finalize: (jobId) => once(jobId, 'finalize'),
    unwind: (jobId) => once(jobId, 'unwind'),
    verify: ({ jobId, resultHash, payoutRoot }, attestations = []) =>
      once(jobId, 'verify', resultHash, payoutRoot, attestations),
    rejectResult: ({ jobId, resultHash, payoutRoot }, reasonHash, attestations = []) =>
      once(jobId, 'rejectResult', resultHash, payoutRoot, reasonHash, attestations),
    payWorkers: (jobId, resultHash, shares) => once(jobId, 'payWorkers', resultHash, shares.map(toPayee)),
    claimPay({ jobId, resultHash, payoutRoot }, { index, worker, amountWei }, proof) {
      const args = [jobId, resultHash, payoutRoot, index, worker, amountWei, proof];
      return sender.send({ key: `${jobId}:claimPay:${index}`, to: chain.core, data: encode('claimPay', args) });
    },
    withdraw: (to, amountWei) => again('withdraw', 'withdraw', [to, amountWei]),
    estimateWithdrawWei: (to, amountWei) =>
      sender.estimateWei({ to: chain.core, data: encode('withdraw', [to, amountWei]) }),
  };
}

async function request(chain: Chain, sender: Sender, job: JobRequest): Promise<{ jobId: JobId; hash: string }> {
  const bps = await chain.verifierBps();
  await fund(chain, sender, job.feeWei + (job.feeWei * BigInt(bps)) / 10_000n);
  const salt = hexlify(randomBytes(32));
  const deadline = Math.floor(job.deadlineMs / 1000);
  const args = [job.dataset, job.params, job.feeWei, job.fuelLimit, deadline, salt];
  const { hash } = await sender.send({ key: `request:${salt}`, to: chain.core, data: encode('request', args) });
  return { jobId: await jobOf(chain, hash), hash };
}

/** Makes sure the contract can collect `needWei` from credit and tokens. */
async function fund(chain: Chain, sender: Sender, needWei: bigint): Promise<void> {
  const { address } = sender;
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
  await sender.send({ key: 'approve', to: chain.token, data, repeatable: true });
}

function toPayee({ worker, amountWei }: Share): { worker: Address; amount: bigint } {
  return { worker, amount: amountWei };
}

function encode(method: string, args: readonly unknown[]): string {
  return coreInterface.encodeFunctionData(method, args);
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
