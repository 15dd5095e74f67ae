/** What a request costs and contains, shown before anything is uploaded or paid. */

import type { Account } from '../../app/account';
import { recentRequests } from '../../app/chain-job';
import type { JobRequest } from '../../chain/acts/requests';
import { formatEmt, formatEth } from '../../domain/emt';
import type { JobId } from '../../domain/ids';
import { memoryBytesOf, vocabularyOf } from '../../domain/job-fit';
import { modelSizeOf } from '../../domain/model-size';
import { AppError } from '../../lib/errors';
import { formatBytes } from '../../lib/format-bytes';
import type { ResolvedParams } from '../../protocol/job-params';
import type { Prepared } from '../../protocol/trainer';
import { describeSpan } from './request-plan';

export type QuoteError =
  | { code: 'usage/not-enough-tokens'; account: string; haveWei: bigint; needWei: bigint }
  | { code: 'usage/not-enough-coin'; account: string; haveWei: bigint; needWei: bigint };

/** What the account pays for a request, and what it has, in wei. */
export interface JobPrice {
  verifierWei: bigint;
  burnWei: bigint;
  totalWei: bigint;
  creditWei: bigint;
  tokenWei: bigint;
  gasWei: bigint;
  coinWei: bigint;
}

/** The tokens of the data as a master would count them, when a Python child could. */
export type Tokens = Pick<Prepared, 'trainTokens' | 'validationTokens' | 'epochBlocks' | 'blockTokens'>;

/** A request in figures; everything that `--json` prints about it. */
export interface Quote extends JobPrice {
  bytes: number;
  tokens?: Tokens | undefined;
  parameters: number;
  modelBytes: number;
  deviceBytes: number;
  feePerMTokensWei: bigint;
  leftMs: number;
  /** The newest jobs on chain; undefined when they could not be read. */
  recentJobs?: { jobId: JobId; feeWei: bigint; feePerMTokensWei: bigint }[] | undefined;
}

const RECENT_JOBS = 20;
const WEIGHT_BYTES = 4;
/** A transaction is signed for more gas than its estimate, and its account must own all of it. */
const GAS_RESERVE = 2n;

/** Prices a request. Throws `usage/not-enough-…`, and the contract's own reason when it would refuse. */
export async function priceOf({ chain, emeth }: Account, job: JobRequest): Promise<JobPrice> {
  const account = emeth.address;
  const { verifierWei, burnWei } = await chain.extraFees(job.feeWei);
  const totalWei = job.feeWei + verifierWei + burnWei;
  const [creditWei, tokenWei] = await Promise.all([chain.credit(account), chain.tokenBalance(account)]);
  if (creditWei + tokenWei < totalWei) {
    throw new AppError<QuoteError>(
      { code: 'usage/not-enough-tokens', account, haveWei: creditWei + tokenWei, needWei: totalWei },
      `${account} has ${formatEmt(creditWei + tokenWei)} and needs ${formatEmt(totalWei)} (fee, verifiers, burn); send it the difference, or offer less.`,
    );
  }
  const [gasWei, coinWei] = [await emeth.estimateRequestWei(job), await chain.provider.getBalance(account)];
  const needWei = GAS_RESERVE * gasWei;
  if (coinWei < needWei) {
    throw new AppError<QuoteError>(
      { code: 'usage/not-enough-coin', account, haveWei: coinWei, needWei },
      `${account} has ${formatEth(coinWei)} and needs about ${formatEth(needWei)} in reserve for gas; send it the difference.`,
    );
  }
  return { verifierWei, burnWei, totalWei, creditWei, tokenWei, gasWei, coinWei };
}

/** Puts together what is known of a request. */
export async function makeQuote(
  { chain }: Account,
  job: JobRequest,
  price: JobPrice,
  { params, bytes, tokens }: { params: ResolvedParams; bytes: number; tokens: Tokens | undefined },
): Promise<Quote> {
  const size = modelSizeOf(params, vocabularyOf(params.tokenizer), undefined);
  const recent = await recentRequests(chain, RECENT_JOBS).catch(() => undefined);
  return {
    ...price,
    bytes,
    tokens,
    parameters: size.parameters,
    modelBytes: size.parameters * WEIGHT_BYTES,
    deviceBytes: memoryBytesOf(size),
    feePerMTokensWei: perMTokens(job),
    leftMs: job.deadlineMs - (await chain.nowMs()),
    recentJobs: recent?.map((other) => ({
      jobId: other.jobId,
      feeWei: other.feeWei,
      feePerMTokensWei: perMTokens(other),
    })),
  };
}

function perMTokens({ feeWei, fuelLimit }: { feeWei: bigint; fuelLimit: bigint }): bigint {
  return (feeWei * 1_000_000n) / fuelLimit;
}

/** Describes a request and its price for people. */
export function describeQuote(job: JobRequest, quote: Quote): string[] {
  const { parameters, modelBytes, deviceBytes, leftMs } = quote;
  return [
    `dataset    ${job.dataset} (${formatBytes(quote.bytes)})`,
    `tokens     ${describeTokens(quote)}`,
    `model      ${grouped(parameters)} parameters, ${formatBytes(modelBytes)}; training needs about ${formatBytes(deviceBytes)} on a device`,
    `params     ${job.params}`,
    `deadline   ${new Date(job.deadlineMs).toISOString()}, in ${describeSpan(leftMs)}`,
    `fuel       ${job.fuelLimit} tokens for the whole fee`,
    `fee        ${formatEmt(job.feeWei)}, which is ${rounded(quote.feePerMTokensWei)} per million tokens`,
    `lately     ${describeRecent(quote.recentJobs)}`,
    `in all     ${formatEmt(quote.totalWei)}: on top of the fee ${formatEmt(quote.verifierWei)} for the verifiers and ${formatEmt(quote.burnWei)} to be burnt`,
    `account    ${formatEmt(quote.creditWei)} credit, ${formatEmt(quote.tokenWei)} in tokens, ${formatEth(quote.coinWei)}; gas is about ${formatEth(quote.gasWei)}`,
  ];
}

function describeTokens({ tokens }: Quote): string {
  if (!tokens) return 'not counted: no Python with numpy and tokenizers runs here (npm run setup)';
  const { trainTokens, validationTokens, epochBlocks, blockTokens } = tokens;
  const blocks = `${grouped(epochBlocks)} blocks of ${grouped(blockTokens)}`;
  return `${grouped(trainTokens)} to train on (${blocks}), ${grouped(validationTokens)} held out`;
}

function describeRecent(jobs: Quote['recentJobs']): string {
  if (!jobs) return 'the jobs on chain could not be read';
  if (jobs.length === 0) return 'no other job in the last 100,000 chain blocks';
  const fees = jobs.map(({ feeWei }) => feeWei);
  const rates = jobs.map(({ feePerMTokensWei }) => feePerMTokensWei);
  const range = `${rounded(least(fees))} to ${rounded(most(fees))}`;
  return `the last ${jobs.length} jobs paid ${range}, ${rounded(least(rates))} to ${rounded(most(rates))} per million tokens`;
}

const least = (amounts: readonly bigint[]) => amounts.reduce((a, b) => (a < b ? a : b));
const most = (amounts: readonly bigint[]) => amounts.reduce((a, b) => (a > b ? a : b));

/** An amount cut to four digits behind the point, where more would hide its size. */
function rounded(wei: bigint): string {
  return formatEmt(wei - (wei % 10n ** 14n));
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}
