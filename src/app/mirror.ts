/** The mirror of a storage, joined with chain, queue and the other storages. */
import type { JobReader } from '../blobs/read-pass';
import type { StoredBlobs } from '../blobs/stored-blobs';
import type { Chain } from '../chain/rpc/client';
import type { StorageConfig } from '../config/roles/storage';
import { parseBlobReference } from '../domain/blob-reference';
import { type JobId, Sha256 } from '../domain/ids';
import { awaitsVerdict, type ChainState } from '../domain/job';
import { systemClock as clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import { Mirror, type WantedJob } from '../storage/mirror';
import { requestedBase } from '../storage/named-blobs';
import type { StorageSpace } from '../storage/space';
import type { JobRow } from '../store/jobs';
import type { Store } from '../store/open';
import { findSubmission, type JobSubmission, locationsOf } from './chain-job';
import { type JobSources, jobSources } from './job-sources';

interface MirrorParts {
  config: StorageConfig;
  blobs: StoredBlobs;
  space: StorageSpace;
  store: Pick<Store, 'jobs' | 'blobHolders'>;
  chain: Pick<Chain, 'headBlock' | 'events'>;
  /** The storage's own account, which its peers let read. */
  reader: JobReader | undefined;
  logger: Logger;
}

/** Jobs that still need their blobs. */
const WANTED: readonly ChainState[] = ['REQUESTED', 'PROCESSING', 'SUBMITTED', 'DISPUTED'];

export function openMirror({ config, blobs, space, store, chain, reader, logger }: MirrorParts): Mirror {
  const { peers, allowPrivateStorages: allowPrivate, maxUploadBytes: maxBytes } = config;
  const jobs = new MirroredJobs(store, chain, jobSources({ storages: peers, allowPrivate }, reader));
  return new Mirror(
    { maxBytes },
    {
      blobs,
      space,
      wanted: () => jobs.list(),
      sourceOf: (jobId) => jobs.sourceOf(jobId),
      addHolder: (sha256, account) => store.blobHolders.add(sha256, account),
      clock,
      logger,
    },
  );
}

/** The jobs of the chain whose blobs lie in storages. */
class MirroredJobs {
  private readonly submissions = new Map<JobId, JobSubmission>();
  private rows = new Map<JobId, JobRow>();

  constructor(
    private readonly store: Pick<Store, 'jobs'>,
    private readonly chain: Pick<Chain, 'headBlock' | 'events'>,
    private readonly sources: JobSources,
  ) {}

  async list(): Promise<WantedJob[]> {
    const rows = (await this.store.jobs.list({ chainStates: WANTED })).filter(isStillOpen);
    this.rows = new Map(rows.map((row) => [row.id, row]));
    for (const jobId of this.submissions.keys()) if (!this.rows.has(jobId)) this.submissions.delete(jobId);
    const jobs: WantedJob[] = [];
    // One after the other: a node of the chain is asked about each submission that is new.
    for (const row of rows) jobs.push(await this.describe(row));
    return jobs;
  }

  sourceOf(jobId: JobId) {
    const submission = this.submissions.get(jobId);
    const locations = submission ? locationsOf(submission) : [];
    const { dataset = '', params = '' } = this.rows.get(jobId) ?? {};
    return this.sources({ jobId, dataset, params, locations });
  }

  private async describe(row: JobRow): Promise<WantedJob> {
    const data = parseBlobReference(row.dataset)?.sha256;
    const base = requestedBase(row.params)?.sha256;
    const submission = awaitsVerdict(row.chainState) ? await this.submissionOf(row.id) : undefined;
    const result = Sha256.safeParse(submission?.resultHash.slice(2)).data;
    return {
      jobId: row.id,
      data: data && { sha256: data, owner: row.requester },
      base: base && { sha256: base, owner: row.requester },
      result: result && submission && { sha256: result, owner: submission.node },
    };
  }

  private async submissionOf(jobId: JobId): Promise<JobSubmission | undefined> {
    const found = this.submissions.get(jobId) ?? (await findSubmission(this.chain, jobId));
    if (found) this.submissions.set(jobId, found);
    return found;
  }
}

/** A request past its deadline is over, whether or not anybody has said so on chain. */
function isStillOpen({ chainState, deadlineMs }: JobRow): boolean {
  return awaitsVerdict(chainState) || deadlineMs > clock.now();
}
