/** `emeth result`: fetches a trained model and checks it against the chain. */

import { type Account, openReader } from '../../app/account';
import { openBlobReader } from '../../app/blob-reader';
import { locationsOf, requireSubmission } from '../../app/chain-job';
import { stopSignal } from '../../app/context';
import { placesOf } from '../../app/places';
import { openStorage } from '../../app/storage';
import { openReadPass } from '../../blobs/read-pass';
import type { JobId } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { formatBytes } from '../../lib/format-bytes';
import type { Manifest } from '../../protocol/manifest';
import { parseJobId } from '../../terminal/arguments';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';
import { fetchModel } from './fetch-model';
import { followJob } from './follow-job';

export type ResultError = { code: 'result/not-bound'; jobId: JobId; field: string };

interface ResultOptions extends CommonOptions {
  out?: string | undefined;
  storage?: string | undefined;
  wait?: boolean | undefined;
  base?: string | undefined;
}

export async function fetchResult(id: string, options: ResultOptions): Promise<void> {
  const jobId = parseJobId(id);
  const signal = stopSignal();
  await using reader = await openReader(options);
  if (options.wait) await followJob(reader.chain, jobId, placesOf(reader.config, options).storages, signal);
  const submission = await requireSubmission(reader.chain, jobId);
  const manifestHash = submission.resultHash.slice(2);

  const pass = openReadPass(jobId, await openBlobReader(reader));
  const storage = openStorage(reader, { ...options, locations: locationsOf(submission), pass }, signal);
  const manifest = await storage.manifest(manifestHash);
  assertBound(manifest, reader, jobId);
  const directory = options.out ?? `model-${jobId.slice(2, 10)}`;
  await fetchModel(manifest, directory, storage, options.base);

  const { state } = await reader.chain.job(jobId);
  const bytes = manifest.model.reduce((sum, file) => sum + file.bytes, 0);
  const { validationLoss, fuelUsed, rounds } = manifest;
  if (options.json) {
    return printJson({
      jobId,
      state,
      directory,
      bytes,
      manifest: manifestHash,
      validationLoss,
      fuelUsed,
      rounds: rounds.length,
    });
  }
  printLines(
    `model  ${directory} (${manifest.model.length} files, ${formatBytes(bytes)}, every hash checked)`,
    `loss   ${validationLoss.start.toFixed(4)} before, ${validationLoss.end.toFixed(4)} after (nats per token, held-out part)`,
    `state  ${state}`,
  );
  const isAdapter = manifest.params.tune === 'lora' && !manifest.params.lora.merge;
  const loader = isAdapter ? 'AutoPeftModelForCausalLM' : 'AutoModelForCausalLM';
  talk(`Try it: emeth generate ${directory}, or ${loader}.from_pretrained("${directory}") in Python.`);
}

/**
 * Throws `result/not-bound`: a manifest of another job, chain or contract proves nothing, whatever its hash.
 */
function assertBound(manifest: Manifest, { chain }: Pick<Account, 'chain'>, jobId: JobId): void {
  const expected = { jobId, contract: chain.core, chainId: chain.chainId };
  for (const field of ['jobId', 'contract', 'chainId'] as const) {
    if (manifest[field] === expected[field]) continue;
    throw new AppError<ResultError>(
      { code: 'result/not-bound', jobId, field },
      `The result of ${jobId} names ${field} ${manifest[field]} instead of ${expected[field]}; do not trust it.`,
    );
  }
}
