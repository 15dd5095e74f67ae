/** What a request says: its parameters, fuel and deadline, checked before anything is sent. */
import { formatEmt } from '../../domain/emt';
import { countBlocks } from '../../domain/fuel';
import { DEFAULT_BATCH, DEFAULT_EPOCHS, estimateTokens } from '../../domain/job-fit';
import { AppError } from '../../lib/errors';
import { JobParams, MAX_PARAMS_BYTES, type NumberedParams, type ResolvedParams } from '../../protocol/job-params';
import { findBrokenRules } from '../../protocol/params-rules';
import { type SettleFacts, settleParams } from '../../protocol/settle-params';
import { describeIssues } from './params-problems';
import { composeParams, type ParamsOptions } from './request-params';

export type RequestError =
  | { code: 'usage/bad-params'; problems: string[] }
  | { code: 'usage/bad-deadline'; text: string }
  | { code: 'usage/bad-fuel'; fuelLimit: bigint }
  | { code: 'usage/not-counted' }
  | { code: 'usage/fee-too-low'; feeWei: bigint; minFeeWei: bigint };

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** The contract's own bounds: the furthest deadline, and the largest number of tokens it can store. */
const MAX_WORK_MS = 365 * 86_400_000;
const MAX_FUEL = 2n ** 40n - 1n;

/** What a request asks for. */
export interface AskedParams {
  /** As it was written, with its preset. */
  given: Record<string, unknown>;
  /** As it is sent. */
  text: string;
  params: NumberedParams;
  /** Whether its author chose the context. */
  namesContext: boolean;
}

/** What is known of a request's data. */
interface PlannedData {
  bytes: number;
  isPacked: boolean;
  tokens?: { epochBlocks: number; blockTokens: number } | undefined;
}

/**
 * Checks the parameters of a request by the schema of the masters, and writes down epochs and batch: fuel and
 * blocks depend on them, and another master has other defaults. All else that is left out is part of the
 * protocol, or settled by the work that the job is.
 */
export function parseParams(text: string, options: ParamsOptions = {}): AskedParams {
  const own = parseObject(text);
  const { context } = (own['model'] ?? {}) as { context?: unknown };
  return { ...resolve(composeParams(own, options)), namesContext: context !== undefined };
}

/** Writes down which base a request came to mean, and the longest context of both. */
export function settleBase(asked: AskedParams, base: string, most: number): AskedParams {
  const { context } = asked.params.model;
  const isShortened = !asked.namesContext && most > 0 && context > most;
  const model = isShortened ? { model: { ...asked.params.model, context: most } } : {};
  return { ...resolve({ ...asked.given, base, ...model }), namesContext: asked.namesContext };
}

function resolve(given: Record<string, unknown>): Omit<AskedParams, 'namesContext'> {
  const parsed = JobParams.safeParse(given);
  if (!parsed.success) throw badParams(describeIssues(parsed.error.issues));
  const { epochs = DEFAULT_EPOCHS, batch = DEFAULT_BATCH } = parsed.data;
  const compact = JSON.stringify({ ...given, epochs, batch });
  if (Buffer.byteLength(compact) > MAX_PARAMS_BYTES) throw badParams([`longer than ${MAX_PARAMS_BYTES} bytes`]);
  return { given, text: compact, params: { ...parsed.data, epochs, batch } };
}

/**
 * Returns the tokens that the whole fee pays for: those that a node will merge. Throws `usage/bad-fuel` above
 * what the contract stores, and `usage/not-counted` where the bytes of the data tell nothing about it.
 */
export function planFuel(named: bigint | undefined, data: PlannedData, params: NumberedParams): bigint {
  const fuelLimit = named ?? BigInt(countFuel(data, params));
  if (fuelLimit <= MAX_FUEL) return fuelLimit;
  throw new AppError<RequestError>(
    { code: 'usage/bad-fuel', fuelLimit },
    `${fuelLimit} tokens are more than one job may have (${MAX_FUEL}); ask for fewer epochs or a lower --fuel-limit.`,
  );
}

function countFuel({ bytes, isPacked, tokens }: PlannedData, params: NumberedParams): number {
  if (tokens) return countBlocks(params.epochs, tokens.epochBlocks) * tokens.blockTokens;
  const { tokenizer, data } = params;
  const isText = data.format === 'auto' || data.format === 'text';
  if (isText && !isPacked && tokenizer.type !== 'base') return estimateTokens(bytes, params);
  throw new AppError<RequestError>(
    { code: 'usage/not-counted' },
    'How many tokens the data come to can only be counted with Python: run `npm run setup`, or name --fuel-limit.',
  );
}

/** Returns the blocks of a job: a node trains on all of the data, whatever part of them the fee pays for. */
export function planBlocks(fuelLimit: bigint, { tokens }: Pick<PlannedData, 'tokens'>, params: NumberedParams): number {
  if (tokens) return countBlocks(params.epochs, tokens.epochBlocks);
  return Math.max(1, Math.round(Number(fuelLimit) / (params.batch * params.model.context)));
}

/**
 * Returns the parameters as a node would settle them. Throws `usage/bad-params` where what is named does not
 * go with what is usual for the rest.
 */
export function settleRequest(asked: NumberedParams, facts: SettleFacts): ResolvedParams {
  const params = settleParams(asked, facts);
  const broken = findBrokenRules(params);
  if (broken.length > 0) throw badParams(broken.map(({ path, message }) => `${path.join('.')}: ${message}`));
  return params;
}

/** Throws `usage/fee-too-low` below the contract's minimum. */
export function requireFee(feeWei: bigint, { minFeeWei }: { minFeeWei: bigint }): void {
  if (feeWei >= minFeeWei) return;
  throw new AppError<RequestError>(
    { code: 'usage/fee-too-low', feeWei, minFeeWei },
    `A fee of ${formatEmt(feeWei)} is below the contract's minimum of ${formatEmt(minFeeWei)}; offer more with --fee.`,
  );
}

/**
 * Parses `90m`, `2h`, `3d` from now, or a date; returns Unix milliseconds. Throws `usage/bad-deadline`, also
 * for a time that leaves less than the contract's minimum, or more than a year.
 */
export function parseDeadline(text: string, nowMs: number, { minWorkMs }: { minWorkMs: number }): number {
  const deadlineMs = parseTime(text, nowMs);
  const leftMs = deadlineMs - nowMs;
  if (leftMs >= minWorkMs && leftMs <= MAX_WORK_MS) return deadlineMs;
  const bound = leftMs < minWorkMs ? `at least ${describeSpan(minWorkMs)}` : 'at most 365 d';
  throw new AppError<RequestError>(
    { code: 'usage/bad-deadline', text },
    `The deadline ${text} cannot be used: the contract demands ${bound} from now; choose another with --deadline.`,
  );
}

/** Formats a span of time in its two largest units: `1 h 58 min`. */
export function describeSpan(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const counts = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  const names = ['d', 'h', 'min', 's'];
  const parts = [...counts, seconds % 60].map((count, i) => ({ count, name: names[i] }));
  const from = Math.max(
    0,
    parts.findIndex(({ count }) => count > 0),
  );
  const shown = parts.slice(from, from + 2).filter(({ count }) => count > 0);
  return shown.map(({ count, name }) => `${count} ${name}`).join(' ') || '0 s';
}

function parseTime(text: string, nowMs: number): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (count !== undefined && unit !== undefined) return nowMs + Number(count) * (unitsMs[unit] ?? 0);
  const date = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(date) && date > nowMs) return date;
  throw new AppError<RequestError>(
    { code: 'usage/bad-deadline', text },
    `The deadline ${text} cannot be used; write a span such as 90m or 2h, or a date in the future.`,
  );
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badParams(['they are not JSON']);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw badParams(['they are not a JSON object']);
}

function badParams(problems: string[]): AppError<RequestError> {
  return new AppError<RequestError>(
    { code: 'usage/bad-params', problems },
    `The parameters cannot be used: ${problems.join('; ')}.`,
  );
}
