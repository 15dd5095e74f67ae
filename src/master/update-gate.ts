/** The gate: the checks that an update passes before it can be merged. */
import { cut } from '../link/errors';
import type { WorkerMessage } from '../protocol/link';
import type { JobContext } from './job-context';
import type { UpdateVerdict } from './job-events';
import type { LiveLease } from './round-state';

type Commit = Extract<WorkerMessage, { type: 'lease.commit' }>;

/** Fetches a committed update and judges it. Throws `link/…` when the worker disconnects, and `blobs/…`. */
export async function judgeUpdate(job: JobContext, lease: LiveLease, commit: Commit): Promise<UpdateVerdict> {
  const { fleet, blobs, store } = job.deps;
  const blocks = lease.end - lease.start;
  const tokens = blocks * job.plan.prepared.blockTokens;
  if (commit.tokens !== tokens) return fault(`it claims ${commit.tokens} tokens for a lease of ${tokens}`);
  // The largest codec is fp32: 4 bytes a parameter, and a header.
  const maxBytes = 4 * job.plan.parameters + 1024 * 1024;
  if (commit.update.bytes > maxBytes)
    return fault(`its update has ${commit.update.bytes} bytes, at most ${maxBytes} fit`);

  const peer = fleet.peer(lease.worker);
  if (!peer) throw cut('the worker disconnected before its update was fetched');
  await peer.pull(commit.update, { signal: job.signal });
  const update = blobs.path(commit.update.sha256);
  const seen = await job.coordinator.run({ type: 'inspect', update }, 'inspected');
  if (!seen.ok) return fault(seen.reason ?? 'its update is not one of this model');

  const { type: _type, leaseId, ...work } = commit;
  const outcome = await store.ledger.commit(leaseId, lease.worker, work);
  if (outcome === 'stale') return { accepted: false, reason: 'the round of this lease is closed', isFault: false };
  return { accepted: true, work };
}

function fault(reason: string): UpdateVerdict {
  return { accepted: false, reason, isFault: true };
}
