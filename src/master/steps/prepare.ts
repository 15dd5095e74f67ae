/** claimed → preparing: turns the request into a plan, before anything is sent to the chain. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { countBlocks } from '../../domain/fuel';
import type { Coordinator } from '../coordinator';
import { resolveParams } from '../params';
import type { JobPlan } from '../plan';
import type { JobBlobs, MasterStorage } from '../ports';
import type { JobRunOptions, StepContext, StepResult } from './step';

interface PrepareContext extends Pick<StepContext, 'dir' | 'signal' | 'openCoordinator'> {
  readonly row: Pick<StepContext['row'], 'dataset' | 'params'>;
  readonly options: Pick<JobRunOptions, 'batchSize' | 'epochs' | 'maxDatasetBytes'>;
  readonly deps: { blobs: Pick<JobBlobs, 'path' | 'add'>; storage: Pick<MasterStorage, 'fetch'> };
}

/**
 * Fetches the data set, has it checked, tokenised and split, and writes the first weights. Deterministic:
 * running it again after a crash gives the same plan.
 */
export async function prepareJob(job: PrepareContext): Promise<StepResult<'claimed'>> {
  const { row, options, dir, signal, deps } = job;
  const params = resolveParams(row.params, { batch: options.batchSize, epochs: options.epochs });
  const dataset = { reference: row.dataset, ...(await deps.storage.fetch(row.dataset, signal)) };
  await mkdir(dir, { recursive: true });
  const coordinator = job.openCoordinator(params);
  const { prepared } = await coordinator.run(
    { type: 'prepare', dataset: deps.blobs.path(dataset.sha256), maxBytes: options.maxDatasetBytes },
    'prepared',
  );
  const plan: JobPlan = {
    dataset,
    params,
    prepared,
    totalBlocks: countBlocks(params.epochs, prepared.epochBlocks),
    ...(await writeFirstWeights(coordinator, dir, deps.blobs)),
  };
  return { to: 'preparing', facts: { plan } };
}

async function writeFirstWeights(
  coordinator: Pick<Coordinator, 'run'>,
  dir: string,
  blobs: PrepareContext['deps']['blobs'],
): Promise<Pick<JobPlan, 'theta0' | 'parameters' | 'startLoss'>> {
  const init = { type: 'init', out: join(dir, 'theta-init.safetensors') } as const;
  const { theta, parameters } = await coordinator.run(init, 'initialised');
  await blobs.add(theta.path, { move: true });
  const model = { theta: blobs.path(theta.sha256) };
  const { loss } = await coordinator.run({ type: 'evaluate', model, maxSequences: 0 }, 'evaluated');
  return { theta0: theta.sha256, parameters, startLoss: loss };
}
