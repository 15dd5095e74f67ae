/** A job's parameters: as its requester wrote them, and as they are settled when the job is planned. */
import { AppError } from '../lib/errors';
import { JobParams, MAX_PARAMS_BYTES, type NumberedParams, type ResolvedParams } from '../protocol/job-params';
import { findBrokenRules } from '../protocol/params-rules';
import { type SettleFacts, settleParams } from '../protocol/settle-params';

export type ParamsError = { code: 'params/invalid'; problem: string };

/** Parses the parameters of a request, with this master's epochs and batch. Throws `params/invalid`. */
export function readJobParams(text: string, defaults: { batch: number; epochs: number }): NumberedParams {
  if (Buffer.byteLength(text) > MAX_PARAMS_BYTES) {
    throw invalid(`they are longer than ${MAX_PARAMS_BYTES} bytes`);
  }
  const parsed = JobParams.safeParse(parseJson(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(`${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'not readable'}`);
  }
  const { data } = parsed;
  return { ...data, epochs: data.epochs ?? defaults.epochs, batch: data.batch ?? defaults.batch };
}

/** Settles what a request leaves open. Throws `params/invalid` where that does not go with what it names. */
export function settleJobParams(asked: NumberedParams, facts: SettleFacts): ResolvedParams {
  const params = settleParams(asked, facts);
  const [broken] = findBrokenRules(params);
  if (broken) throw invalid(`${broken.path.join('.')}: ${broken.message}`);
  return params;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text === '' ? '{}' : text);
  } catch (error) {
    throw invalid(`they are not JSON (${(error as Error).message})`);
  }
}

function invalid(problem: string): AppError<ParamsError> {
  return new AppError({ code: 'params/invalid', problem }, `The job's parameters cannot be used: ${problem}.`);
}
