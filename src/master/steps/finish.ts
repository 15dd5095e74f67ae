/** exporting → submitting: makes model and manifest, and publishes them for requester and verifiers. */
import { parseBlobReference } from '../../domain/blob-reference';
import type { Sha256 } from '../../domain/ids';
import { crashPoint } from '../../lib/crash-point';
import type { JobPlan } from '../plan';
import type { MasterChain, MasterStorage } from '../ports';
import { produceResult } from '../result';
import type { JobRunOptions, StepContext, StepResult } from './step';

interface FinishContext extends Pick<StepContext, 'signal' | 'openContext'> {
  readonly row: Pick<StepContext['row'], 'feeWei' | 'fuelLimit'>;
  readonly options: Pick<JobRunOptions, 'commissionBps'>;
  readonly deps: {
    chain: Pick<MasterChain, 'chainId' | 'contract' | 'payoutRoot'>;
    storage: Pick<MasterStorage, 'publish' | 'openBase'>;
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
  const given = [...dataIn(context.plan), ...(await baseIn(context.plan, storage))];
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

/** Likewise. The files of a hub's base verifiers get from the hub, which says what these are. */
async function baseIn({ base }: JobPlan, storage: Pick<MasterStorage, 'openBase'>): Promise<Sha256[]> {
  if (!base) return [];
  const files = base.commit === undefined ? (await storage.openBase(base)).files : [];
  return [base.list, ...files.map(({ sha256 }) => sha256)];
}
