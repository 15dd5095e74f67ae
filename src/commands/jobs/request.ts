/** `emeth request`: uploads the data and locks the fee in the contract. */
import { type Account, openAccount } from '../../app/account';
import { openStorage } from '../../app/storage';
import type { JobRequest } from '../../chain/acts/emeth';
import { formatEmt } from '../../domain/emt';
import { readGiven } from '../../terminal/files';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';
import { locateDataset } from './dataset';
import { followJob } from './follow-job';
import { parseDeadline, parseParams, planFuel } from './request-plan';

interface RequestOptions extends CommonOptions {
  dataset: string;
  fee: bigint;
  params: string;
  deadline: string;
  fuelLimit?: bigint | undefined;
  storage?: string | undefined;
  dryRun?: boolean | undefined;
  wait?: boolean | undefined;
}

/** What the account must have for the request, in wei. */
interface Quote {
  verifierWei: bigint;
  burnWei: bigint;
  totalWei: bigint;
  creditWei: bigint;
  tokenWei: bigint;
  canPay: boolean;
}

export async function requestJob(options: RequestOptions): Promise<void> {
  await using account = await openAccount(options);
  const { job, upload } = await makePlan(account, options);
  const quote = await makeQuote(account, job);
  if (options.dryRun) return showQuote(job, quote, options);

  await upload();
  const { jobId, hash } = await account.emeth.request(job);
  if (!options.json) printLines(jobId);
  talk(`Requested. Fetch the result at any time with: emeth result ${jobId} --wait`);
  if (options.wait) await followJob(account.chain, jobId, account.signal);
  if (options.json) printJson({ jobId, hash, ...job, ...quote, ...(options.wait ? { state: 'VERIFIED' } : {}) });
}

/** Prepares the request; `upload` puts the data where nodes can fetch it. */
async function makePlan(
  account: Account,
  options: RequestOptions,
): Promise<{ job: JobRequest; upload(): Promise<void> }> {
  const { params: given } = options;
  const text = given.startsWith('@') ? (await readGiven('--params', given.slice(1))).toString('utf8') : given;
  const { params, text: paramsText } = parseParams(text);
  const deadlineMs = parseDeadline(options.deadline, await account.chain.nowMs());
  const storage = () => openStorage(account, options, account.signal);
  const { reference, file, bytes } = await locateDataset(options.dataset, (asked) => storage().sizeOf(asked));
  const fuelLimit = options.fuelLimit ?? planFuel(await bytes(), params);
  return {
    job: { dataset: reference, params: paramsText, feeWei: options.fee, fuelLimit, deadlineMs },
    upload: async () => (file === undefined ? undefined : storage().upload(file, account.wallet)),
  };
}

async function makeQuote({ chain, emeth }: Account, job: JobRequest): Promise<Quote> {
  const extra = await chain.extraFees(job.feeWei);
  const [creditWei, tokenWei] = await Promise.all([chain.credit(emeth.address), chain.tokenBalance(emeth.address)]);
  const totalWei = job.feeWei + extra.verifierWei + extra.burnWei;
  return { ...extra, totalWei, creditWei, tokenWei, canPay: creditWei + tokenWei >= totalWei };
}

function showQuote(job: JobRequest, quote: Quote, options: CommonOptions): void {
  if (options.json) return printJson({ ...job, ...quote, sent: false });
  printLines(
    `dataset    ${job.dataset}`,
    `params     ${job.params}`,
    `deadline   ${new Date(job.deadlineMs).toISOString()}`,
    `fuel       ${job.fuelLimit} tokens for the whole fee`,
    `fee        ${formatEmt(job.feeWei)}, on top of it ${formatEmt(quote.verifierWei)} for the verifiers and ${formatEmt(quote.burnWei)} to be burnt`,
    `account    ${formatEmt(quote.creditWei)} credit, ${formatEmt(quote.tokenWei)} in tokens: ${quote.canPay ? 'enough' : 'not enough'}`,
  );
  talk('Nothing was uploaded or sent.');
}
