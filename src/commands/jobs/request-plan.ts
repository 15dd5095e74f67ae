/** What a request says: its parameters, fuel and deadline, checked before anything is sent. */
import { estimateTokens } from '../../domain/job-fit';
import { AppError } from '../../lib/errors';
import { JobParams, MAX_PARAMS_BYTES } from '../../protocol/job-params';

export type RequestError =
  | { code: 'usage/bad-params'; problems: string[] }
  | { code: 'usage/bad-deadline'; text: string }
  | { code: 'usage/no-size'; dataset: string };

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Checks the parameters of a request and writes down the number of epochs, because the fuel limit depends on
 * it. Other defaults stay out; they are part of the protocol.
 */
export function parseParams(text: string): { text: string; params: JobParams & { epochs: number } } {
  const given = parseObject(text);
  const parsed = JobParams.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'params'}: ${issue.message}`);
    throw badParams(problems);
  }
  const epochs = parsed.data.epochs ?? 1;
  const compact = JSON.stringify({ ...given, epochs });
  if (Buffer.byteLength(compact) > MAX_PARAMS_BYTES) throw badParams([`longer than ${MAX_PARAMS_BYTES} bytes`]);
  return { text: compact, params: { ...parsed.data, epochs } };
}

/** Returns the tokens the job will merge at most, and so the fuel its whole fee pays for. */
export function planFuel(bytes: number, params: JobParams & { epochs: number }): bigint {
  return BigInt(estimateTokens(bytes, params));
}

/** Parses `90m`, `2h`, `3d` from now, or a date; returns Unix milliseconds. */
export function parseDeadline(text: string, nowMs: number): number {
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
