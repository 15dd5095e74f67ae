/** claimed → preparing: turns the request into a plan, before anything is sent to the chain. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { countBlocks } from '../../domain/fuel';
import { hasGained } from '../../domain/gain';
import type { JobId } from '../../domain/ids';
import { expectedPayWei, expectTokens, vocabularyOf } from '../../domain/job-fit';
import { modelSizeOf } from '../../domain/model-size';
import { crashPoint } from '../../lib/crash-point';
import type { DiskFloor } from '../../lib/disk-floor';
import { AppError } from '../../lib/errors';
import { sha256 } from '../../lib/hash';
import { auditSeedTypes } from '../../protocol/link';
import { LINK_DOMAIN } from '../../protocol/storage';
import type { Coordinator } from '../coordinator';
import { readJobParams } from '../params';
import type { JobPlan } from '../plan';
import { planParams } from '../plan-params';
import type { JobBlobs, JobFleet, JobWallet, MasterStorage, RoundStore } from '../ports';
import type { JobRunOptions, StepContext, StepResult } from './step';

/** What a rehearsal may compute: some ten seconds of a few cores. */
const REHEARSAL_FLOPS = 5e11;
/** Forward and backward passes of a rehearsal over its sequences. */
const REHEARSED_PASSES = 5;
const MOST_SEQUENCES = 4;

export type PrepareError =
  | { code: 'params/min-gain'; start: number }
  | { code: 'job/low-pay'; payWei: bigint; minFeeWei: bigint; tokens: number };

interface PrepareContext extends Pick<StepContext, 'dir' | 'signal' | 'openCoordinator'> {
  readonly row: Pick<
    StepContext['row'],
    'id' | 'requester' | 'dataset' | 'params' | 'feeWei' | 'fuelLimit' | 'deadlineMs'
  >;
  readonly options: Pick<JobRunOptions, 'batchSize' | 'epochs' | 'maxDatasetBytes' | 'minFeeWei' | 'cooperative'>;
  readonly deps: {
    blobs: Pick<JobBlobs, 'path' | 'add'>;
    storage: Pick<MasterStorage, 'fetch' | 'fetchBase'>;
    fleet: Pick<JobFleet, 'idle'>;
    disk: Pick<DiskFloor, 'require'>;
    wallet: Pick<JobWallet, 'signTyped'>;
    store: { rounds: Pick<RoundStore['rounds'], 'clear'> };
  };
}

/**
 * Fetches data set and base, has the data checked, tokenised and split, and writes the first weights.
 * Deterministic: running it again after a crash gives the same plan.
 */
export async function prepareJob(job: PrepareContext): Promise<StepResult<'claimed'>> {
  const { row, options, dir, signal, deps } = job;
  const asked = readJobParams(row.params, { batch: options.batchSize, epochs: options.epochs });
  await deps.disk.require(0);
  const dataset = { reference: row.dataset, ...(await deps.storage.fetch(row, signal)) };
  crashPoint('dataset.fetched');
  const base = asked.tune === 'none' ? undefined : await deps.storage.fetchBase(row, asked, signal);
  await mkdir(dir, { recursive: true });
  const crew = { fleet: deps.fleet, cooperative: options.cooperative };
  const settle = (vocabSize: number, blocks: number) =>
    planParams(asked, { size: modelSizeOf(asked, vocabSize, base?.size), blocks }, crew);
  const expected = expectTokens(dataset.bytes, asked, row) / (asked.batch * asked.model.context);
  const coordinator = job.openCoordinator({ ...settle(vocabularyOf(asked.tokenizer), expected), base });
  const { prepared } = await coordinator.run(
    { type: 'prepare', dataset: deps.blobs.path(dataset.sha256), maxBytes: options.maxDatasetBytes },
    'prepared',
  );
  crashPoint('data.prepared');
  const totalBlocks = countBlocks(asked.epochs, prepared.epochBlocks);
  requirePay(row, totalBlocks * prepared.blockTokens, options);
  const settled = settle(prepared.vocabSize, totalBlocks);
  const { params } = settled;
  await coordinator.adopt(params);
  // A job that was given back once, or lost, has none of its old files any more.
  await deps.store.rounds.clear(row.id);
  const weights = await writeFirstWeights(coordinator, dir, deps.blobs);
  requirePossibleGain(weights.startLoss, params);
  await rehearse(coordinator, params, { ...weights, path: deps.blobs.path(weights.theta0) });
  const plan: JobPlan = {
    dataset,
    ...settled,
    ...(base ? { base } : {}),
    prepared,
    totalBlocks,
    auditSeed: await drawSeed(row.id, deps.wallet),
    ...weights,
  };
  return { to: 'preparing', facts: { plan } };
}

/** Only now are the tokens known; before, the requester's word was taken for how many the data come to. */
function requirePay(row: PrepareContext['row'], tokens: number, { minFeeWei }: PrepareContext['options']): void {
  const payWei = expectedPayWei(row, tokens);
  if (payWei >= minFeeWei) return;
  throw new AppError<PrepareError>(
    { code: 'job/low-pay', payWei, minFeeWei, tokens },
    `Its data come to ${tokens} tokens, for which it would pay ${payWei} wei, less than min_fee ${minFeeWei}; its fuel limit is ${row.fuelLimit}.`,
  );
}

/** The hash of a signature: nobody but this node can know it, and it comes out the same after a crash. */
async function drawSeed(jobId: JobId, wallet: Pick<JobWallet, 'signTyped'>): Promise<string> {
  return sha256(await wallet.signTyped(LINK_DOMAIN, auditSeedTypes, { jobId }));
}

async function writeFirstWeights(
  coordinator: Pick<Coordinator, 'run'>,
  dir: string,
  blobs: PrepareContext['deps']['blobs'],
): Promise<Pick<JobPlan, 'theta0' | 'parameters' | 'startLoss'>> {
  const init = { type: 'init', out: join(dir, 'theta-init.safetensors') } as const;
  const { theta, parameters } = await coordinator.run(init, 'initialised');
  await blobs.add(theta.path, { move: true });
  crashPoint('weights.written');
  const model = { theta: blobs.path(theta.sha256) };
  const { loss } = await coordinator.run({ type: 'evaluate', model, maxSequences: 0 }, 'evaluated');
  return { theta0: theta.sha256, parameters, startLoss: loss };
}

/** A loss is never below 0: such a job would be trained for a result that must be rejected. */
function requirePossibleGain(start: number, params: JobPlan['params']): void {
  if (hasGained({ start, end: 0 }, params)) return;
  throw new AppError<PrepareError>(
    { code: 'params/min-gain', start },
    `The job asks for a fall of the loss by ${params.minGain}, and it begins at ${start}; ask for a smaller minGain.`,
  );
}

/** Takes a few steps, so that rates which break the model do so before a deposit is locked. */
async function rehearse(
  coordinator: Pick<Coordinator, 'run'>,
  { model: { context } }: JobPlan['params'],
  { path: theta, parameters }: { path: string; parameters: number },
): Promise<void> {
  const sequences = Math.min(
    MOST_SEQUENCES,
    Math.floor(REHEARSAL_FLOPS / (REHEARSED_PASSES * 6 * parameters * context)),
  );
  // A model too large for that here is not refused for it.
  if (sequences > 0) await coordinator.run({ type: 'rehearse', theta, sequences }, 'rehearsed');
}
