/** What a storage asks the chain about a job: also where its own database has not followed the chain yet. */
import { commitmentOf } from '../chain/acts/attestations';
import type { Chain, ChainJob } from '../chain/rpc/client';
import { type Address, type JobId, Sha256 } from '../domain/ids';
import type { ChainState } from '../domain/job';
import { BoundedMap } from '../lib/bounded-map';
import type { JobRecord } from '../storage/named-blobs';
import { findRejection, findRequest, findSubmission, type JobSubmission } from './chain-job';

export type RecordChain = Pick<Chain, 'job' | 'headBlock' | 'events'>;

/** What a job's id binds: nothing of it ever changes. */
interface RequestFacts {
  requester: Address;
  dataset: string;
  params: string;
}

/** Events that were looked up, each some hundred requests of an Ethereum node at worst. */
const MAX_KEPT = 1000;

const JUDGED: readonly ChainState[] = ['SUBMITTED', 'DISPUTED', 'VERIFIED', 'FAILED', 'UNVERIFIED'];

/** Reads jobs for a storage. What cannot change any more is read once. */
export class JobRecords {
  private readonly requests = new BoundedMap<JobId, RequestFacts>(MAX_KEPT);
  private readonly submissions = new BoundedMap<JobId, JobSubmission>(MAX_KEPT);
  private readonly rejections = new BoundedMap<JobId, string>(MAX_KEPT);

  constructor(
    private readonly chain: RecordChain,
    /** The request as this role's own queue has it, if it has. */
    private readonly known: (jobId: JobId) => Promise<RequestFacts | undefined>,
  ) {}

  /** Returns what the chain says now; undefined for an id that nobody requested. */
  async find(jobId: JobId): Promise<JobRecord | undefined> {
    const job = await this.chain.job(jobId);
    if (job.state === 'NONE') return undefined;
    const request = this.requests.get(jobId) ?? (await this.known(jobId)) ?? (await findRequest(this.chain, jobId));
    if (!request) return undefined;
    const { requester, dataset, params } = request;
    this.requests.set(jobId, { requester, dataset, params });
    const { state, deadlineMs } = job;
    const submission = JUDGED.includes(state) ? await this.submissionOf(jobId, job) : undefined;
    const evidence = state === 'FAILED' ? await this.rejectionOf(jobId) : undefined;
    return {
      ...{ state, deadlineMs, requester, dataset, params, evidence },
      // The contract forgets the node of a job that has ended.
      node: job.node ?? submission?.node,
      result: Sha256.safeParse(submission?.resultHash.slice(2)).data,
    };
  }

  /** A job has one submission; only a reorganisation can put another in its place. */
  private async submissionOf(jobId: JobId, { commitment }: ChainJob): Promise<JobSubmission | undefined> {
    const kept = this.submissions.get(jobId);
    if (kept && (commitment === undefined || commitmentOf(kept) === commitment)) return kept;
    const found = await findSubmission(this.chain, jobId);
    if (found) this.submissions.set(jobId, found);
    return found;
  }

  private async rejectionOf(jobId: JobId): Promise<string | undefined> {
    const kept = this.rejections.get(jobId);
    if (kept !== undefined) return kept;
    const reason = (await findRejection(this.chain, jobId))?.reasonHash.slice(2);
    if (reason !== undefined) this.rejections.set(jobId, reason);
    return reason;
  }
}
