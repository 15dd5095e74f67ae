/** Short messages of a master and a worker, and names for their ids. */
import type { Address, JobId, Sha256 } from '../../src/domain/ids';
import type { Commit, OfferedJob, OfferedLease } from '../../src/worker/state';
import { tinyParams } from './tiny-job';

export const jobId = (digit: string) => `0x${digit.repeat(32)}` as JobId;
export const blobName = (digit: string) => digit.repeat(64) as Sha256;
export const masterAddress = `0x${'ab'.repeat(20)}` as Address;

export const openJob = (digit = '1'): OfferedJob => ({
  type: 'job.open',
  jobId: jobId(digit),
  params: tinyParams,
  vocabSize: 256,
  totalBlocks: 100,
});

export const grant = (leaseId: string, changes: Partial<OfferedLease> = {}): OfferedLease => ({
  type: 'lease.grant',
  jobId: jobId('1'),
  leaseId,
  round: 0,
  start: 0,
  end: 4,
  shard: { sha256: blobName('a'), bytes: 10 },
  theta: { sha256: blobName('b'), bytes: 10 },
  deadlineMs: 30_000,
  ...changes,
});

export const commit = (leaseId: string): Commit => ({
  type: 'lease.commit',
  leaseId,
  update: { sha256: blobName('c'), bytes: 5 },
  tokens: 256,
  loss: 5,
  lossCurve: [5],
  seconds: 1,
  endTheta: blobName('d'),
});
