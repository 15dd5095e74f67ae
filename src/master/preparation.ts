import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '../blobs/blob-store';
import { countBlocks } from '../domain/fuel';
import type { Sha256 } from '../domain/ids';
import { AppError } from '../lib/errors';
import { JobParams, MAX_PARAMS_BYTES, type ResolvedParams } from '../protocol/job-params';
import type { Coordinator } from './coordinator';
import type { JobPlan } from './plan';

export type ParamsError = { code: 'params/invalid'; problem: string };

/** A job's parameters as its requester wrote them, completed with this master's defaults. Throws `params/invalid`. */
export function resolveParams(text: string, defaults: { batch: number; epochs: number }): ResolvedParams {
  if (Buffer.byteLength(text) > MAX_PARAMS_BYTES) {
    throw invalid(`they are longer than ${MAX_PARAMS_BYTES} bytes`);
  }
  const parsed = JobParams.safeParse(parseJson(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(`${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'not readable'}`);
  }
  const { epochs, batch, ...rest } = parsed.data;
  return { ...rest, epochs: epochs ?? defaults.epochs, batch: batch ?? defaults.batch };
}

/**
 * Turns a fetched data set into a plan: has it checked, tokenised and split, and writes the first weights. Deterministic, so
 * doing it again after a restart gives the same plan.
 */
export async function prepareJob(options: {
  coordinator: Coordinator;
  blobs: BlobStore;
  dir: string;
  params: ResolvedParams;
  dataset: { reference: string; sha256: Sha256; bytes: number };
  maxBytes: number;
}): Promise<JobPlan> {
  const { coordinator, blobs, dir, params, dataset } = options;
  await mkdir(dir, { recursive: true });
  const { prepared } = await coordinator.run(
    { type: 'prepare', dataset: blobs.path(dataset.sha256), maxBytes: options.maxBytes },
    'prepared',
  );
  const { theta, parameters } = await coordinator.run(
    { type: 'init', out: join(dir, 'theta-init.safetensors') },
    'initialised',
  );
  await blobs.add(theta.path, { move: true });
  const start = await coordinator.run(
    { type: 'evaluate', model: { theta: blobs.path(theta.sha256) }, maxSequences: 0 },
    'evaluated',
  );
  return {
    dataset,
    params,
    prepared,
    totalBlocks: countBlocks(params.epochs, prepared.epochBlocks),
    parameters,
    theta0: theta.sha256,
    startLoss: start.loss,
  };
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
