/** exporting → submitting: makes model and manifest, and publishes them for requester and verifiers. */
import { readFile } from 'node:fs/promises';
import { parseFileList } from '../../blobs/base-dir';
import { parseBlobReference } from '../../domain/blob-reference';
import type { Sha256 } from '../../domain/ids';
import { crashPoint } from '../../lib/crash-point';
import type { JobContext } from '../job-context';
import type { JobPlan } from '../plan';
import type { MasterChain, MasterStorage } from '../ports';
import { produceResult } from '../result';
import type { JobRunOptions, StepContext, StepResult } from './step';

interface FinishContext extends Pick<StepContext, 'signal' | 'openContext'> {
  readonly row: Pick<StepContext['row'], 'feeWei' | 'fuelLimit'>;
  readonly options: Pick<JobRunOptions, 'commissionBps'>;
  readonly deps: {
    chain: Pick<MasterChain, 'chainId' | 'contract' | 'payoutRoot'>;
    storage: Pick<MasterStorage, 'publish'>;
  };
}

export async function finishJob(job: FinishContext): Promise<StepResult<'exporting'>> {
  const { row, options, deps, signal } = job;
  const { chain, storage } = deps;
  const context = await job.openContext();
  const result = await produceResult(context, {
    chainId: chain.chainId,
    contract: chain.contract,
    feeWei: row.feeWei,
    fuelLimit: row.fuelLimit,
    commissionBps: options.commissionBps,
    payoutRoot: (shares) => chain.payoutRoot(shares),
  });
  const given = [...dataIn(context.plan), ...(await baseIn(context))];
  await storage.publish([...result.blobs, ...given], signal);
  crashPoint('result.published');
  return { to: 'submitting', facts: { result } };
}

/**
 * A verifier may not reach the storage that the requester named, and blames the node for what it cannot get.
 */
function dataIn({ dataset }: Pick<JobPlan, 'dataset'>): Sha256[] {
  return parseBlobReference(dataset.reference) ? [dataset.sha256] : [];
}

/** Likewise. Verifiers get a base of a hub from the hub, which says what its files are. */
async function baseIn({ plan: { base }, deps: { blobs } }: Pick<JobContext, 'plan' | 'deps'>): Promise<Sha256[]> {
  if (!base || !parseBlobReference(base.reference)) return [];
  const { files } = parseFileList(base.list, await readFile(blobs.path(base.list), 'utf8'));
  return [base.list, ...files.map(({ sha256 }) => sha256)];
}
