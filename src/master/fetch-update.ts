/** How an update gets from its worker into the blob store, for the gate and for audits. */
import type { Address } from '../domain/ids';
import { mostTensorBytes } from '../domain/lease-bounds';
import { cut } from '../link/errors';
import type { TrainedUpdate } from '../protocol/update';
import type { JobContext } from './job-context';
import { sizeOfPlan } from './plan';

/** Returns why a commit cannot be one of the lease; undefined when it can. */
export function refuseCommit(
  { plan }: JobContext,
  lease: { start: number; end: number },
  { tokens, update }: Pick<TrainedUpdate, 'tokens' | 'update'>,
): string | undefined {
  const expected = (lease.end - lease.start) * plan.prepared.blockTokens;
  if (tokens !== expected) return `it claims ${tokens} tokens for a lease of ${expected}`;
  const maxBytes = mostTensorBytes(sizeOfPlan(plan).trainable);
  if (update.bytes > maxBytes) return `its update has ${update.bytes} bytes, at most ${maxBytes} fit`;
  return undefined;
}

/** Throws `link/…` when the worker disconnects, and `blobs/…`. */
export async function fetchUpdate(job: JobContext, worker: Address, update: TrainedUpdate['update']): Promise<void> {
  const peer = job.deps.fleet.peer(worker);
  if (!peer) throw cut('the worker disconnected before its update was fetched');
  await peer.pull(update, { signal: job.signal });
}
