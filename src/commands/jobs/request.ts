/** `emeth request`: checks everything, then uploads the data and locks the fee in the contract. */
import { type Account, openAccount } from '../../app/account';
import { namedLocations, placesOf, requireStorages } from '../../app/places';
import { fetchForCheck, openStorage } from '../../app/storage';
import type { JobRequest } from '../../chain/acts/requests';
import { parseBlobReference, printBlobReference } from '../../domain/blob-reference';
import { leastBytes } from '../../domain/job-fit';
import { AppError, errorCode } from '../../lib/errors';
import type { NumberedParams } from '../../protocol/job-params';
import type { Counted } from '../../protocol/trainer';
import { countDataset } from '../../runner/count-dataset';
import { readGivenText } from '../../terminal/files';
import type { SendOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';
import { type LocatedDataset, locateDataset } from './dataset';
import { describeExample, describeQuote } from './describe-request';
import { followJob } from './follow-job';
import { findRequestedBase, type RequestedBase } from './request-base';
import type { ParamsOptions } from './request-params';
import { type AskedParams, parseDeadline, parseParams, planFuel, requireFee, settleBase } from './request-plan';
import { makeQuote, priceOf, type Quote } from './request-quote';

interface RequestOptions extends SendOptions, ParamsOptions {
  dataset: string;
  fee: bigint;
  params: string;
  deadline: string;
  fuelLimit?: bigint | undefined;
  storage?: string | undefined;
  dryRun?: boolean | undefined;
  showExample?: boolean | undefined;
  wait?: boolean | undefined;
}

/** Nothing is uploaded and nothing signed before the last check: a fee must not be locked for nothing. */
export async function requestJob(options: RequestOptions): Promise<void> {
  const asked = await readParams(options);
  await using account = await openAccount(options);
  const rules = await account.chain.requestRules();
  requireFee(options.fee, rules);
  const deadlineMs = parseDeadline(options.deadline, await account.chain.nowMs(), rules);
  await using base = await findRequestedBase(asked, account, options);
  await using dataset = await locateDataset(
    options.dataset,
    (reference) => fetchForCheck(reference, account, options, account.signal),
    account.signal,
  );
  const { storages } = placesOf(account.config, options);
  if (dataset.isUploaded) requireStorages({ storages });
  const { params, text } = base ? locateBase(base, storages, account) : asked;
  const counted = await countTokens(dataset, params, base);
  const job: JobRequest = {
    dataset: located(dataset.reference, storages, account),
    params: text,
    feeWei: options.fee,
    fuelLimit: planFuel(options.fuelLimit, { ...dataset, tokens: counted?.prepared }, params),
    deadlineMs,
  };
  // Credit that earlier acts are about to use up must not be counted on.
  if (!options.dryRun) await account.sender.catchUp();
  const price = await priceOf(account, job);
  const quote = await makeQuote(account, job, price, { params, bytes: dataset.bytes, counted, base });
  if (options.dryRun) return showOnly(job, quote, options);
  if (!options.json) talk(describe(job, quote, options).join('\n'));

  job.dataset = located(dataset.reference, await upload(dataset, account, options), account);
  const { jobId, hash } = await account.emeth.request(job);
  if (!options.json) printLines(jobId);
  talk(`Requested. Fetch the result at any time with: emeth result ${jobId} --wait`);
  if (options.wait) await followJob(account.chain, jobId, storages, account.signal);
  if (options.json) printJson({ jobId, hash, ...job, ...quote, ...(options.wait ? { state: 'VERIFIED' } : {}) });
}

function showOnly(job: JobRequest, quote: Quote, options: RequestOptions): void {
  if (options.json) return printJson({ ...job, ...quote, sent: false });
  printLines(...describe(job, quote, options));
  talk('Nothing was uploaded or sent.');
}

/** A dry run is for looking, so it shows an example unasked. */
function describe(job: JobRequest, quote: Quote, { dryRun, showExample }: RequestOptions): string[] {
  return [...describeQuote(job, quote), ...(dryRun || showExample ? describeExample(quote) : [])];
}

async function readParams(options: RequestOptions): Promise<AskedParams> {
  const { params: given } = options;
  const text = given.startsWith('@') ? await readGivenText('--params', given.slice(1)) : given;
  return parseParams(text, options);
}

/** Says where others find a base of this account's own, as for data sets. */
function locateBase({ asked, reference }: RequestedBase, storages: readonly string[], account: Account): AskedParams {
  return settleBase(asked, located(reference, storages, account), asked.params.model.context);
}

/**
 * Counts the tokens as a master will; undefined where no Python can. Throws `usage/bad-dataset` for what no
 * master would take.
 */
async function countTokens(
  { path, bytes, isPacked }: LocatedDataset,
  params: NumberedParams,
  base: RequestedBase | undefined,
): Promise<Counted | undefined> {
  const least = leastBytes(params);
  const tooFew = `The data set has ${bytes} bytes; one block of ${params.batch} × ${params.model.context} tokens and one held-out sequence need at least ${least}. Give more text, or a smaller batch or context.`;
  if (bytes < least && !isPacked) throw badDataset(path, tooFew);
  try {
    return await countDataset(path, params, base?.path);
  } catch (error) {
    if (errorCode(error) === 'data/refused') throw badDataset(path, (error as Error).message);
    if (errorCode(error) === 'data/not-counted') return undefined;
    throw error;
  }
}

function badDataset(dataset: string, sentence: string): AppError {
  return new AppError({ code: 'usage/bad-dataset', dataset }, sentence);
}

/** Puts the data where nodes can fetch it, and returns the storages that have it. */
async function upload(dataset: LocatedDataset, account: Account, options: RequestOptions): Promise<readonly string[]> {
  const sha256 = parseBlobReference(dataset.reference)?.sha256;
  if (!dataset.isUploaded || sha256 === undefined) return placesOf(account.config, options).storages;
  const storage = openStorage(account, options, account.signal);
  return storage.upload(dataset.path, sha256, account);
}

/** Adds to a reference where others find the blob; one that names storages already stays as it is. */
function located(reference: string, storages: readonly string[], { config }: Pick<Account, 'config'>): string {
  const blob = parseBlobReference(reference);
  if (!blob || blob.locations.length > 0) return reference;
  return printBlobReference(blob.sha256, namedLocations(config, storages));
}
