/** A job's parameters as its requester wrote them, completed with this master's defaults. */
import { AppError } from '../lib/errors';
import { JobParams, MAX_PARAMS_BYTES, type ResolvedParams } from '../protocol/job-params';

export type ParamsError = { code: 'params/invalid'; problem: string };

/** Parses and completes the parameters of a request. Throws `params/invalid`. */
export function resolveParams(text: string, defaults: { batch: number; epochs: number }): ResolvedParams {
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
