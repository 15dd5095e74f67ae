/** What a request costs and contains, shown before anything is uploaded or paid. */

import type { Account } from '../../app/account';
import { recentRequests } from '../../app/chain-job';
import type { BaseFacts } from '../../blobs/base-facts';
import type { JobRequest } from '../../chain/acts/requests';
import { formatEmt, formatEth } from '../../domain/emt';
import type { JobId } from '../../domain/ids';
import { memoryBytesOf, updateBytesOf, vocabularyOf } from '../../domain/job-fit';
import { modelSizeOf } from '../../domain/model-size';
import { AppError } from '../../lib/errors';
import type { JobDetails } from '../../protocol/admin';
import type { NumberedParams } from '../../protocol/job-params';
import type { Counted, Prepared } from '../../protocol/trainer';
import type { RequestedBase } from './request-base';
import { planBlocks, settleRequest } from './request-plan';

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
type Tokens = Pick<Prepared, 'trainTokens' | 'validationTokens' | 'epochBlocks' | 'blockTokens'>;

/** The model that the job starts from. */
type QuotedBase = Pick<BaseFacts, 'architecture' | 'parameters' | 'licence' | 'hasChatTemplate' | 'tokenizer'> & {
  reference: string;
  /** What each worker fetches once. */
  bytes: number;
};

/** A request in figures; everything that `--json` prints about it. */
export interface Quote extends JobPrice {
  bytes: number;
  tokens?: Tokens | undefined;
  /** What the data are; undefined as `tokens`. */
  data?: Omit<Counted, 'prepared'> | undefined;
  base?: QuotedBase | undefined;
  parameters: number;
  /** Those of them that are trained. */
  trainable: number;
  modelBytes: number;
  deviceBytes: number;
  /** What is named, or usual for so much work with so many workers, as the nodes of this version have it. */
  settled: NonNullable<JobDetails['settled']>;
  settledFor: { workers: number };
  /** What goes from and to each worker in a round, beside the data. */
  roundBytes: { up: number; down: number };
  feePerMTokensWei: bigint;
  leftMs: number;
  /** The newest jobs on chain; undefined when they could not be read. */
  recentJobs?: { jobId: JobId; feeWei: bigint; feePerMTokensWei: bigint }[] | undefined;
}

const RECENT_JOBS = 20;
const WEIGHT_BYTES = 4;
/** How many workers a job will have is for its node to find out. */
const QUOTED_WORKERS = 2;
const AUTO_CODEC = 'auto: or thinner, where the node has measured that links are slow';
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

/** What a request is about. */
interface QuotedParts {
  params: NumberedParams;
  bytes: number;
  counted: Counted | undefined;
  base: Pick<RequestedBase, 'facts' | 'reference' | 'size'> | undefined;
}

/** Puts together what is known of a request. */
export async function makeQuote(
  { chain }: Account,
  job: JobRequest,
  price: JobPrice,
  { params, bytes, counted, base }: QuotedParts,
): Promise<Quote> {
  const size = modelSizeOf(params, base?.facts.vocabSize ?? vocabularyOf(params.tokenizer), base?.size);
  const blocks = planBlocks(job.fuelLimit, { tokens: counted?.prepared }, params);
  const facts = { blocks, workers: QUOTED_WORKERS, autoCodec: 'int8' } as const;
  const { round, inner, outer, codec } = settleRequest(params, facts);
  const updateBytes = updateBytesOf(size, codec);
  const recent = await recentRequests(chain, RECENT_JOBS).catch(() => undefined);
  return {
    ...price,
    bytes,
    ...quoteData(counted),
    base: base && quoteBase(base),
    parameters: size.parameters,
    trainable: size.trainable,
    settled: { round, inner, outer, codec, codecWhy: params.codec === 'auto' ? AUTO_CODEC : undefined },
    settledFor: { workers: QUOTED_WORKERS },
    roundBytes: { up: updateBytes, down: updateBytes },
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

function quoteData(counted: Counted | undefined): Pick<Quote, 'tokens' | 'data'> {
  if (!counted) return {};
  const { prepared, ...data } = counted;
  const { trainTokens, validationTokens, epochBlocks, blockTokens } = prepared;
  return { tokens: { trainTokens, validationTokens, epochBlocks, blockTokens }, data };
}

function quoteBase({ facts, reference }: NonNullable<QuotedParts['base']>): QuotedBase {
  const { architecture, parameters, licence, hasChatTemplate, tokenizer, baseBytes: bytes } = facts;
  return { reference, architecture, parameters, licence, hasChatTemplate, tokenizer, bytes };
}

function perMTokens({ feeWei, fuelLimit }: { feeWei: bigint; fuelLimit: bigint }): bigint {
  return (feeWei * 1_000_000n) / fuelLimit;
}
