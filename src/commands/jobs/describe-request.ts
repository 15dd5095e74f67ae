/** What a request comes to, in lines for people. */
import type { JobRequest } from '../../chain/acts/requests';
import { formatEmt, formatEth } from '../../domain/emt';
import { formatBytes } from '../../lib/format-bytes';
import { describeSettled } from './describe-settled';
import { describeSpan } from './request-plan';
import type { Quote } from './request-quote';

/** Describes a request and its price for people. */
export function describeQuote(job: JobRequest, quote: Quote): string[] {
  const { leftMs } = quote;
  return [
    `dataset    ${job.dataset} (${formatBytes(quote.bytes)})`,
    ...describeData(quote),
    `tokens     ${describeTokens(quote)}`,
    ...describeBase(quote),
    `model      ${describeModel(quote)}`,
    `training   ${describeTraining(quote)}`,
    `round      each worker gets ${formatBytes(quote.roundBytes.down)} and sends ${formatBytes(quote.roundBytes.up)}`,
    `params     ${job.params}`,
    `deadline   ${new Date(job.deadlineMs).toISOString()}, in ${describeSpan(leftMs)}`,
    `fuel       ${job.fuelLimit} tokens for the whole fee`,
    `fee        ${formatEmt(job.feeWei)}, which is ${rounded(quote.feePerMTokensWei)} per million tokens`,
    `lately     ${describeRecent(quote.recentJobs)}`,
    `in all     ${formatEmt(quote.totalWei)}: on top of the fee ${formatEmt(quote.verifierWei)} for the verifiers and ${formatEmt(quote.burnWei)} to be burnt`,
    `account    ${formatEmt(quote.creditWei)} credit, ${formatEmt(quote.tokenWei)} in tokens, ${formatEth(quote.coinWei)}; gas is about ${formatEth(quote.gasWei)}`,
  ];
}

function describeData({ data, tokens }: Quote): string[] {
  if (!data || !tokens) return [];
  const { form, texts, learntTokens, share } = data;
  const records =
    form === 'text' ? `${grouped(texts)} ${texts === 1 ? 'text' : 'texts'}` : `${grouped(texts)} records (${form})`;
  const answers = form === 'text' ? '' : `; ${percent(learntTokens / tokens.trainTokens)} of the tokens are learnt`;
  const estimate = share < 1 ? `; estimated from the first ${percent(share)}` : '';
  return [`data       ${records}${answers}${estimate}`];
}

function describeBase({ base }: Quote): string[] {
  if (!base) return [];
  const { reference, architecture, parameters, licence, hasChatTemplate, bytes } = base;
  const template = hasChatTemplate ? 'with a chat template' : 'without a chat template';
  return [
    `base       ${reference}`,
    `           ${architecture} of ${grouped(parameters)} parameters, ${template}; licence ${licence ?? 'not named'}`,
    `           each worker fetches ${formatBytes(bytes)} once`,
  ];
}

function describeModel({ parameters, trainable, modelBytes, deviceBytes }: Quote): string {
  const trained =
    trainable < parameters ? `, of which ${grouped(trainable)} are trained` : `, ${formatBytes(modelBytes)}`;
  return `${grouped(parameters)} parameters${trained}; training needs about ${formatBytes(deviceBytes)} on a device`;
}

/** Nodes of another version may settle otherwise what is left open; what is named is as it was named. */
function describeTraining({ settled, settledFor }: Quote): string {
  return `${describeSettled(settled)}; with ${settledFor.workers} workers`;
}

/** Shows the first record as the model will see it; what is learnt of it is marked at the margin. */
export function describeExample({ data }: Quote): string[] {
  if (!data || data.example.length === 0) return [];
  const lines = data.example.flatMap(({ text, isLearnt }) =>
    printable(text)
      .replace(/\n$/, '')
      .split('\n')
      .map((line) => `${isLearnt ? ' learnt  ' : '         '}| ${line}`),
  );
  return ['example    the first record as the model sees it', ...lines];
}

/** Data may come from anybody, and terminals obey some characters. */
function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, '\ufffd');
}

function percent(part: number): string {
  return `${(100 * part).toFixed(part < 0.1 ? 1 : 0)} %`;
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
