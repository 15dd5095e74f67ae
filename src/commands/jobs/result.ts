import type { Command } from 'commander';
import type { Account } from '../../app/account';
import type { Chain } from '../../chain/rpc/client';
import type { JobId } from '../../domain/ids';
import { isTerminal } from '../../domain/job';
import { AppError } from '../../lib/errors';
import type { Manifest } from '../../protocol/manifest';
import { type CommonOptions, example } from '../../terminal/options';
import { formatBytes, printJson, printLines, talk } from '../../terminal/print';

export type ResultError =
  | { code: 'result/not-found'; jobId: JobId; state: string }
  | { code: 'result/not-bound'; jobId: JobId; field: string };

interface ResultOptions extends CommonOptions {
  out?: string | undefined;
  storage?: string | undefined;
  wait?: boolean | undefined;
}

export function registerResult(program: Command): void {
  program
    .command('result')
    .description("fetch a job's trained model and check it against the chain, file by file")
    .argument('<id>', 'job id')
    .option('--out <dir>', 'where to put the model; must not exist (default: model-<id>)')
    .option('--storage <url>', 'storage API to fetch from (default: storageApi of the configuration)')
    .option('--wait', 'follow the job until it is verified, then fetch')
    .addHelpText('after', example('emeth result 0x1f0c6f3fd2f8f0a1b2c3d4e5f6a7b8c9 --wait --out mymodel'))
    .action(result);
}

async function result(id: string, options: ResultOptions): Promise<void> {
  const { openReader } = await import('../../app/account.js');
  const { parseJobId } = await import('../../terminal/arguments.js');
  const { stopSignal } = await import('../../app/context.js');
  const { followJob } = await import('./follow.js');
  const { fetchModel } = await import('./fetch-model.js');
  const { openStorage } = await import('../../app/storage.js');
  const jobId = parseJobId(id);
  const signal = stopSignal();
  await using reader = await openReader(options);
  if (options.wait) await followJob(reader.chain, jobId, signal);
  const manifestHash = await submittedHash(reader.chain, jobId);

  const storage = openStorage(reader, options, signal);
  const manifest = await storage.manifest(manifestHash);
  assertBound(manifest, reader, jobId);
  const directory = options.out ?? `model-${jobId.slice(2, 10)}`;
  await fetchModel(manifest, directory, storage);

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
  talk(`Try it: emeth generate ${directory}, or AutoModelForCausalLM.from_pretrained("${directory}") in Python.`);
}

/** The manifest's hash, as the node bound it to the job on chain. */
async function submittedHash(chain: Chain, jobId: JobId): Promise<string> {
  const { findSubmission, requireJob } = await import('../../app/chain-job.js');
  const { state } = await requireJob(chain, jobId);
  const submission = await findSubmission(chain, jobId);
  if (submission) return submission.resultHash.slice(2);
  throw new AppError<ResultError>(
    { code: 'result/not-found', jobId, state },
    isTerminal(state)
      ? `The job ${jobId} ended without a result: it is ${state}. Its money is credit again; see \`emeth node\`.`
      : `The job ${jobId} has no result yet; it is ${state}. Add --wait to wait for it.`,
  );
}

/** A manifest of another job, chain or contract proves nothing, whatever its hash. */
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
