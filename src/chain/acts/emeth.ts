/** The calls of the escrow contract that change something, for one account. */
import { concat, hexlify, Interface, isError, keccak256, randomBytes } from 'ethers';
import { formatEmt } from '../../domain/emt';
import type { Address, JobId } from '../../domain/ids';
import type { Share } from '../../domain/shares';
import { AppError } from '../../lib/errors';
import { inTurn } from '../../lib/in-turn';
import { coreInterface } from '../contract/events';
import { emethTokenAbi } from '../generated/emeth-token';
import type { Chain } from '../rpc/client';
import type { Sender } from '../sending/sender';
import type { Wallet } from '../sending/wallet';
import { commitmentOf } from './attestations';
import { signPermit } from './permit';
import { deadlineOf, type JobRequest, jobIdOf } from './requests';
import type { SignedWithdrawal } from './withdrawal';

const tokenInterface = new Interface(emethTokenAbi);

export type EmethError = { code: 'chain/not-enough-tokens'; account: Address; haveWei: bigint; needWei: bigint };

/** Identifies a submitted result in every later call. */
export interface ResultRef {
  jobId: JobId;
  resultHash: string;
  payoutRoot: string;
}

/**
 * The contract's methods for one account. Each call is an intent, so repeating a finished one changes
 * nothing.
 */
export interface Emeth extends RequesterActs, NodeActs, OverdueActs, VerifierActs, PayActs, WithdrawalActs {
  readonly address: Address;
}

/** Acts of a job's requester. */
export interface RequesterActs {
  /** Requests a job; approves what credit does not cover. */
  request(job: JobRequest): Promise<{ jobId: JobId; hash: string }>;
  /** Returns the gas a request would cost, in wei. Throws the contract's reason when it would be refused. */
  estimateRequestWei(job: JobRequest): Promise<bigint>;
  cancel(jobId: JobId): Promise<{ hash: string }>;
  accept(jobId: JobId): Promise<{ hash: string }>;
  /** Disputes a result, with a bond of `bondWei` from credit and tokens. */
  challenge(jobId: JobId, bondWei: bigint): Promise<{ hash: string }>;
}

/** Acts of the node that takes a job. */
export interface NodeActs {
  /** Takes a job, with a deposit equal to its fee. */
  process(jobId: JobId): Promise<{ hash: string }>;
  decline(jobId: JobId): Promise<{ hash: string }>;
  submit(ref: ResultRef, fuelUsed: bigint, reference: string): Promise<{ hash: string }>;
}

/** Acts that any account may do once the job's present window is over. */
export interface OverdueActs {
  /** Settles a result that was not judged in its window. */
  finalize(jobId: JobId): Promise<{ hash: string }>;
  /** Ends a dispute that was not decided in its window: all parties get back what they paid in. */
  unwind(jobId: JobId): Promise<{ hash: string }>;
  /** Ends a job that was not taken before its deadline. */
  expire(jobId: JobId): Promise<{ hash: string }>;
  /** Ends a job whose node missed the deadline, for a tip. */
  timeout(jobId: JobId): Promise<{ hash: string }>;
}

/**
 * Acts of a verifier; with other verifiers' attestations (`sortAttestations`) if the quorum is higher than
 * one.
 */
interface VerifierActs {
  verify(ref: ResultRef, attestations?: readonly string[]): Promise<{ hash: string }>;
  rejectResult(ref: ResultRef, reasonHash: string, attestations?: readonly string[]): Promise<{ hash: string }>;
}

/** Acts that credit the pay of a verified job. */
export interface PayActs {
  /** Credits every payee of a payout list of at most 16. */
  payWorkers(jobId: JobId, resultHash: string, shares: readonly Share[]): Promise<{ hash: string }>;
  /** Credits payees by their proofs (`buildPayouts`), all of them or none. */
  claim(claims: readonly Claim[]): Promise<{ hash: string }>;
  /** True when the contract would credit the claim now. */
  canClaim(claim: Claim): Promise<boolean>;
}

/** Acts that turn credit into tokens. */
interface WithdrawalActs {
  /**
   * Credits `collected`, if given, and turns `amountWei` of the credit into tokens of `to`, in one
   * transaction.
   */
  withdraw(to: Address, amountWei: bigint, collected?: Collected): Promise<{ hash: string }>;
  estimateWithdrawWei(to: Address, amountWei: bigint, collected?: Collected): Promise<bigint>;
  /** Submits another account's signed withdrawal, for its tip. */
  relay(withdrawal: SignedWithdrawal): Promise<{ hash: string }>;
  /** Returns 0 when this account has submitted it before. */
  estimateRelayWei(withdrawal: SignedWithdrawal): Promise<bigint>;
}

/** A share of a verified job's pay that is not credited yet. */
export interface Claim {
  ref: ResultRef;
  share: Share;
  proof: readonly string[];
}

/** What becomes credit in the same transaction as a withdrawal. */
export interface Collected {
  claims?: readonly Claim[] | undefined;
  /** Jobs of this node with pay that was not claimed in time. */
  sweeps?: readonly JobId[] | undefined;
}

export function openEmeth(chain: Chain, sender: Sender, wallet: Wallet): Emeth {
  const { address } = sender;
  const inOrder = inTurn();
  /**
   * One at a time, and after what an earlier process has signed, unless it is this very act: two acts that
   * read the same credit and allowance would both count on it.
   */
  const paying = <T>(act: () => Promise<T>, key?: string): Promise<T> =>
    inOrder(async () => {
      await sender.catchUp(undefined, key);
      return act();
    });
  const once = (jobId: JobId, method: string, ...args: unknown[]) =>
    sender.send({ key: `${jobId}:${method}`, to: chain.core, data: encode(method, [jobId, ...args]) });
  /** For acts that may be repeated later, e.g. `process` after `decline`. */
  const again = (key: string, method: string, args: readonly unknown[], undo?: string) =>
    sender.send({ key, to: chain.core, data: encode(method, args), repeatable: true, undo });

  return {
    address,
    request: (job) => paying(() => request(chain, sender, wallet, job)),
    estimateRequestWei: async (job) => {
      const { data } = await signRequest(chain, wallet, job);
      return sender.estimateWei({ to: chain.core, data });
    },
    cancel: (jobId) => once(jobId, 'cancel'),
    accept: (jobId) => once(jobId, 'accept'),
    challenge: (jobId, bondWei) =>
      paying(async () => {
        // The bond of an earlier attempt may be paid already.
        if (!(await sender.hasSigned(`${jobId}:challenge`))) await fund(chain, sender, bondWei);
        return once(jobId, 'challenge');
      }),
    process: (jobId) => {
      const key = `${jobId}:process`;
      return paying(async () => {
        await fund(chain, sender, (await chain.job(jobId)).feeWei);
        return again(key, 'process', [jobId], `emeth decline ${jobId}`);
      }, key);
    },
    decline: (jobId) => again(`${jobId}:decline`, 'decline', [jobId]),
    submit: ({ jobId, resultHash, payoutRoot }, fuelUsed, reference) =>
      once(jobId, 'submit', resultHash, fuelUsed, payoutRoot, reference),
    expire: (jobId) => once(jobId, 'expire'),
    timeout: (jobId) => once(jobId, 'timeout'),
    finalize: (jobId) => once(jobId, 'finalize'),
    unwind: (jobId) => once(jobId, 'unwind'),
    verify: (ref, attestations = []) => once(ref.jobId, 'verify', commitmentOf(ref), concat(attestations)),
    rejectResult: (ref, reasonHash, attestations = []) =>
      once(ref.jobId, 'rejectResult', commitmentOf(ref), reasonHash, concat(attestations)),
    payWorkers: (jobId, resultHash, shares) => once(jobId, 'payWorkers', resultHash, shares.map(toPayee)),
    claim: (claims) => again('claim', 'multicall', [claims.map(claimData)]),
    canClaim: (claim) =>
      chain.provider.call({ from: address, to: chain.core, data: claimData(claim) }).then(
        () => true,
        (error) => {
          if (isError(error, 'CALL_EXCEPTION')) return false;
          throw error;
        },
      ),
    withdraw: (to, amountWei, collected = {}) => {
      const data = withdrawalData(to, amountWei, collected);
      return sender.send({ key: 'withdraw', to: chain.core, data, repeatable: true });
    },
    estimateWithdrawWei: (to, amountWei, collected = {}) =>
      sender.estimateWei({ to: chain.core, data: withdrawalData(to, amountWei, collected) }),
    relay: (withdrawal) => sender.send(relayed(chain.core, withdrawal)),
    estimateRelayWei: async (withdrawal) => {
      const relay = relayed(chain.core, withdrawal);
      return (await sender.hasSigned(relay.key)) ? 0n : sender.estimateWei(relay);
    },
  };
}

function claimData({ ref, share, proof }: Claim): string {
  const { index, worker, amountWei } = share;
  return encode('claimPay', [ref.jobId, ref.resultHash, ref.payoutRoot, index, worker, amountWei, proof]);
}

function withdrawalData(to: Address, amountWei: bigint, { claims = [], sweeps = [] }: Collected): string {
  const collecting = [...claims.map(claimData), ...sweeps.map((jobId) => encode('sweepUnclaimed', [jobId]))];
  const withdrawal = encode('withdraw', [to, amountWei]);
  return collecting.length === 0 ? withdrawal : encode('multicall', [[...collecting, withdrawal]]);
}

/** Keyed by its content, because a signature is valid only once. */
function relayed(core: Address, withdrawal: SignedWithdrawal): { key: string; to: Address; data: string } {
  const { account, to, amountWei, tipWei, deadline, signature } = withdrawal;
  const data = encode('withdrawWithSig', [account, to, amountWei, tipWei, deadline, signature]);
  return { key: `relay:${keccak256(data)}`, to: core, data };
}

async function request(
  chain: Chain,
  sender: Sender,
  wallet: Wallet,
  job: JobRequest,
): Promise<{ jobId: JobId; hash: string }> {
  const { salt, data } = await signRequest(chain, wallet, job);
  const jobId = jobIdOf(chain, wallet.address, job, salt);
  const undo = `emeth cancel ${jobId}`;
  const { hash } = await sender.send({ key: `request:${salt}`, to: chain.core, data, undo });
  return { jobId, hash };
}

/** Returns the call that requests a job, with a permit for what neither credit nor allowance covers. */
async function signRequest(chain: Chain, wallet: Wallet, job: JobRequest): Promise<{ salt: string; data: string }> {
  const { verifierWei, burnWei } = await chain.extraFees(job.feeWei);
  const missingWei = await missing(chain, wallet.address, job.feeWei + verifierWei + burnWei);
  const isAllowed = (await chain.allowance(wallet.address, chain.core)) >= missingWei;
  const salt = hexlify(randomBytes(32));
  const deadline = deadlineOf(job);
  const args = [job.dataset, job.params, job.feeWei, job.fuelLimit, deadline, salt];
  if (isAllowed) return { salt, data: encode('request', args) };
  const permit = await signPermit(chain, wallet, missingWei, deadline);
  return { salt, data: encode('requestWithPermit', [...args, ...permit]) };
}

/** Approves what the contract needs to collect `needWei` from credit and tokens. */
async function fund(chain: Chain, sender: Sender, needWei: bigint): Promise<void> {
  await approve(chain, sender, chain.core, await missing(chain, sender.address, needWei));
}

/**
 * Returns the amount that credit does not cover. Throws `chain/not-enough-tokens` when the tokens do not
 * either.
 */
async function missing(chain: Chain, account: Address, needWei: bigint): Promise<bigint> {
  const credit = await chain.credit(account);
  const missingWei = needWei > credit ? needWei - credit : 0n;
  const haveWei = await chain.tokenBalance(account);
  if (haveWei >= missingWei) return missingWei;
  throw new AppError<EmethError>(
    { code: 'chain/not-enough-tokens', account, haveWei, needWei: missingWei },
    `${account} has ${formatEmt(haveWei)} and needs ${formatEmt(missingWei)}; send it the difference.`,
  );
}

/** Lets a contract take this much of the sender's tokens; does nothing if it already may. */
export async function approve(chain: Chain, sender: Sender, spender: Address, amountWei: bigint): Promise<void> {
  if ((await chain.allowance(sender.address, spender)) >= amountWei) return;
  const data = tokenInterface.encodeFunctionData('approve', [spender, amountWei]);
  await sender.send({ key: 'approve', to: chain.token, data, repeatable: true });
}

function toPayee({ worker, amountWei }: Share): { worker: Address; amount: bigint } {
  return { worker, amount: amountWei };
}

function encode(method: string, args: readonly unknown[]): string {
  return coreInterface.encodeFunctionData(method, args);
}
