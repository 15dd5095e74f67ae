import type { Command } from 'commander';
import type { Account } from '../../app/account';
import type { JobRequest } from '../../chain/acts/emeth';
import { formatEmt } from '../../domain/emt';
import { amount, type CommonOptions, example } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';

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

export function registerRequest(program: Command): void {
  program
    .command('request')
    .description('ask for a model to be trained: uploads the data and locks the fee in the contract')
    .requiredOption('--dataset <file|ref>', 'a text file of yours (is uploaded), or sha256:…, https://…, file:…')
    .requiredOption('--fee <amount>', 'what the finished job pays, in wei or as 20emt', amount)
    .option('--params <json|@file>', 'what to train, as JSON', '{}')
    .option('--deadline <span|date>', 'when it must be done: 90m, 2h, 3d or a date', '2h')
    .option('--fuel-limit <tokens>', 'tokens the whole fee pays for (default: from size and parameters)', amount)
    .option('--storage <url>', 'storage API to use (default: storageApi of the configuration)')
    .option('--dry-run', 'only show what would be requested and whether the account can pay')
    .option('--wait', 'follow the job to its end; fails unless it is verified')
    .addHelpText(
      'after',
      example(
        'emeth request --dataset mobydick.txt --fee 20emt --deadline 1h --wait',
        `emeth request --dataset book.txt --fee 20emt --params '{"epochs":2,"model":{"layers":6}}' --dry-run`,
      ),
    )
    .action(request);
}

async function request(options: RequestOptions): Promise<void> {
  const { openAccount } = await import('../../app/account.js');
  const { followJob } = await import('./follow.js');
  await using account = await openAccount(options);
  const { job, upload } = await makePlan(account, options);
  const quote = await makeQuote(account, job);
  if (options.dryRun) return showQuote(job, quote, options);

  await upload();
  const { jobId, hash } = await account.emeth.request(job);
  if (!options.json) printLines(jobId);
  talk(`Requested. Come back for it at any time with: emeth result ${jobId} --wait`);
  if (options.wait) await followJob(account.chain, jobId, account.signal);
  if (options.json) printJson({ jobId, hash, ...job, ...quote, ...(options.wait ? { state: 'VERIFIED' } : {}) });
}

/** What would be requested; `upload` puts the data where nodes can fetch it. */
async function makePlan(
  account: Account,
  options: RequestOptions,
): Promise<{ job: JobRequest; upload(): Promise<void> }> {
  const { readGiven } = await import('../../terminal/files.js');
  const { locateDataset } = await import('./dataset.js');
  const { openStorage } = await import('../../app/storage.js');
  const { parseDeadline, parseParams, planFuel } = await import('./request-plan.js');
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
