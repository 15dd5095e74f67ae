/** The admin API: its methods and their answers. Amounts are decimal wei, times Unix milliseconds. */
import { z } from 'zod';
import { codecs } from '../domain/codec';
import { Address, JobId } from '../domain/ids';
import { optimisers } from './job-params';
import { ReadyCheck } from './readiness';
import { EvidenceRequest } from './storage';

export const WorkerView = z.object({
  address: Address,
  connected: z.boolean(),
  ip: z.string(),
  gflops: z.number().describe('the speed that counts: what was announced, as far as measurements bear it out'),
  announcedGflops: z.number(),
  measuredGflops: z.number().optional().describe('absent before the first measurement, 0 after a bad probe'),
  jobId: JobId.optional(),
  /** Progress of its running lease. */
  step: z.int().optional(),
  steps: z.int().optional(),
  loss: z.number().optional(),
  tokensPerSecond: z.number().optional(),
  utilisation: z.number().optional().describe('part of its time in its job that it has trained'),
});
export type WorkerView = z.infer<typeof WorkerView>;

export const JobProgress = z.object({
  round: z.int(),
  mergedBlocks: z.int(),
  totalBlocks: z.int(),
  loss: z.number().optional().describe('training loss of the last round, nats per token'),
  validationLoss: z.number().optional().describe('on a sample of the held-out part, after the last round'),
  startLoss: z.number(),
  tokensPerSecond: z.number(),
  utilisation: z
    .record(Address, z.number())
    .optional()
    .describe('by worker, the part of its time since it was ready that it has trained'),
  etaSeconds: z.number().optional().describe('absent before the first round is done'),
});

export const JobView = z.object({
  jobId: JobId,
  state: z.string(),
  chainState: z.string(),
  reason: z.string().optional(),
  waitsFor: z.string().optional().describe('what is in the way of this master at the moment'),
  lookAtMs: z.int().optional().describe('when a skipped job is considered again; absent: not before `requeue`'),
  requester: Address,
  dataset: z.string(),
  feeWei: z.string(),
  deadlineMs: z.int(),
  progress: JobProgress.optional(),
});
export type JobView = z.infer<typeof JobView>;

export const LedgerAudit = z.object({
  blocks: z.int().describe('blocks of the whole job'),
  epochs: z.int(),
  perEpoch: z.array(z.object({ epoch: z.int(), blocks: z.int(), min: z.int(), max: z.int() })),
  minMerged: z.int().describe('how often the least merged block was merged; 1 when the job is done'),
  maxMerged: z.int(),
});
export type LedgerAudit = z.infer<typeof LedgerAudit>;

export const JobDetails = JobView.extend({
  settled: z
    .object({
      round: z.object({ steps: z.int() }),
      inner: z.object({ optimiser: z.enum(optimisers), lr: z.number(), muonLr: z.number() }),
      outer: z.object({ lr: z.number(), momentum: z.number() }),
      codec: z.enum(codecs),
      codecWhy: z.string().optional().describe('where the request left the codec to the node'),
    })
    .optional()
    .describe('what the request may have left open; absent before the job is planned'),
  ledger: LedgerAudit.optional(),
  rounds: z.array(
    z.object({
      round: z.int(),
      state: z.string(),
      updates: z.int(),
      scale: z.number().optional(),
      validationLoss: z.number().optional(),
    }),
  ),
  workers: z.array(WorkerView),
  history: z.array(z.object({ state: z.string(), atMs: z.int(), reason: z.string().optional() })),
  audits: z
    .object({ drawn: z.int(), passed: z.int(), failed: z.int() })
    .describe('leases to be done a second time, and what was found of them so far'),
  /** What verifiers cannot get of the job, as they say at this master's storage. */
  evidenceRequests: z.array(EvidenceRequest.omit({ signature: true })),
});
export type JobDetails = z.infer<typeof JobDetails>;

export const DiskUse = z.object({
  freeBytes: z.number(),
  minFreeBytes: z.number().describe('below, uploads are refused and no job is taken'),
  kinds: z.array(
    z.object({
      kind: z
        .enum(['jobs', 'data', 'result', 'evidence', 'found'])
        .describe('`jobs`: evidence of this master’s own jobs; the others: what was uploaded, or found without a row'),
      bytes: z.number().describe('of unfinished uploads, what they announced'),
      blobs: z.int().optional(),
      unfinished: z.int().optional(),
    }),
  ),
});
export type DiskUse = z.infer<typeof DiskUse>;

export const AccountUse = z.object({
  account: Address.optional().describe('absent for files without a known uploader'),
  blobs: z.int(),
  bytes: z.number(),
  unfinished: z.int(),
  allowedBytes: z.number().optional().describe('absent where nothing bounds it, or while the chain is away'),
});
export type AccountUse = z.infer<typeof AccountUse>;

export const StorageUse = DiskUse.extend({
  accounts: z.array(AccountUse).describe('those with most bytes'),
});
export type StorageUse = z.infer<typeof StorageUse>;

export const MasterStatus = z.object({
  address: Address,
  chainId: z.int(),
  workers: z.int(),
  gflops: z.number(),
  jobs: z.array(JobView).optional().describe('absent while the queue cannot be read'),
  disk: DiskUse.optional().describe('absent while it cannot be read'),
  checks: z.array(ReadyCheck).describe('whether this master can do its work, as /readyz says too'),
});
export type MasterStatus = z.infer<typeof MasterStatus>;

/**
 * The methods an operator may call: the master implements them, `admin/routes` serves them, and
 * `admin/client` calls them.
 */
export interface AdminApi {
  disconnect(worker: Address): Promise<'disconnected' | 'not exist'>;
  allow(worker: Address): Promise<'allowed' | 'not exist'>;
  /** Starts a probe of a worker; its result is found among the workers. */
  measure(worker: Address): Promise<'measuring' | 'busy' | 'not exist'>;
  workers(): Promise<WorkerView[]>;
  jobs(): Promise<JobView[]>;
  job(jobId: JobId): Promise<JobDetails>;
  /** Has a job considered again that was skipped, failed or given back, and that is open on chain. */
  requeue(jobId: JobId): Promise<'queued'>;
  status(): Promise<MasterStatus>;
  /** Tells what lies in this master's storage, and whose it is. */
  storage(): Promise<StorageUse>;
}
