/**
 * Who may read which blob: signatures, what the chain says of reader and job, and what is remembered of
 * that.
 */
import { judgeRead, type ReadDecision, type ReaderRole } from '../domain/blob-access';
import { Address, JobId, type Sha256 } from '../domain/ids';
import { BoundedMap } from '../lib/bounded-map';
import { AppError } from '../lib/errors';
import { MAX_PERMIT_MS, NO_JOB } from '../protocol/storage';
import type { StorageError } from './errors';
import { isPublicJob, type JobRecord, NamedBlobs, type NamedBlobsDeps } from './named-blobs';
import { Permits } from './permits';

export interface ReadDeps extends NamedBlobsDeps {
  /** Returns the signer of a `Read`, or undefined for an invalid signature. */
  recoverRead(read: SignedRead, signature: string): Address | undefined;
  /** Returns what the chain says of a job; undefined for an id that nobody requested. */
  jobRecord(jobId: JobId): Promise<JobRecord | undefined>;
  isVerifier(account: Address): Promise<boolean>;
  /** Whether the operator lets the account read everything of every job. */
  isTrusted?(account: Address): boolean;
  /** Whether the account may take jobs. */
  isActiveNode(account: Address): Promise<boolean>;
  nowMs(): number;
}

/** What a reader signs. */
export interface SignedRead {
  reader: Address;
  jobId: JobId;
  expiresAtMs: number;
}

/** What a request says: its header, and the job in its address. */
export interface ReadQuestion {
  authorization?: string | undefined;
  job?: unknown;
}

/** Who asks, and of which job; without a reader it is anybody. */
interface Asked {
  reader?: Address | undefined;
  jobId: JobId;
}

/** For so long a job's record counts; what an open job allows is always asked anew. */
const KEPT_MS = 60_000;
const MAX_RECORDS = 1000;

interface KeptRecord {
  record: JobRecord;
  atMs: number;
}

/** Admits readers. Thousands of blobs of one job cost one question to the chain a minute. */
export class Readers {
  private readonly blobs: NamedBlobs;
  private readonly signed: Permits;
  private readonly verifiers: Permits;
  private readonly records = new BoundedMap<JobId, KeptRecord>(MAX_RECORDS);

  constructor(private readonly deps: ReadDeps) {
    this.blobs = new NamedBlobs(deps);
    const nowMs = () => deps.nowMs();
    this.signed = new Permits(nowMs);
    this.verifiers = new Permits(nowMs);
  }

  /**
   * Returns whether everybody may read the blob, or only such as this reader. Throws
   * `storage/unauthorised`, `storage/not-reader`, and `storage/unknown-blob` for what is not of the job.
   * None of it depends on whether the storage has the blob.
   */
  async admit(question: ReadQuestion, sha256: Sha256): Promise<{ isForAll: boolean }> {
    const asked = this.parse(question);
    const { reader, jobId } = asked;
    const isOwn = jobId === NO_JOB && reader !== undefined && (await this.deps.isHolder(sha256, reader));
    if (isOwn) return { isForAll: false };
    const { decision, isForAll } = await this.decide(asked, sha256);
    if (decision === 'served') return { isForAll };
    if (decision === 'absent') throw notOfJob(sha256, jobId);
    throw reader === undefined ? unauthorised('none was sent') : notReader(reader, jobId);
  }

  private async decide(asked: Asked, sha256: Sha256): Promise<{ decision: ReadDecision; isForAll: boolean }> {
    const { jobId } = asked;
    const kept = this.keptRecord(jobId);
    // A node that could have taken an open job may have lost it to another a moment ago.
    if (kept && kept.state !== 'REQUESTED') {
      const decided = await this.judge(asked, kept, sha256);
      if (decided.decision === 'served') return decided;
    }
    const record = jobId === NO_JOB ? undefined : await ofChain(this.deps.jobRecord(jobId));
    if (!record) return { decision: 'refused', isForAll: false };
    this.records.set(jobId, { record, atMs: this.deps.nowMs() });
    return this.judge(asked, record, sha256);
  }

  private async judge({ reader, jobId }: Asked, job: JobRecord, sha256: Sha256) {
    const blob = await this.blobs.find(jobId, job, sha256);
    const isPublic = isPublicJob(job);
    const role = await this.roleOf(reader, job);
    const isLate = job.deadlineMs < this.deps.nowMs();
    const decision = judgeRead({ state: job.state, isLate, isPublic, reader: role, blob });
    return { decision, isForAll: isPublic || blob?.role === 'record' };
  }

  private async roleOf(reader: Address | undefined, job: JobRecord): Promise<ReaderRole> {
    if (reader === undefined) return 'stranger';
    if (reader === job.requester) return 'requester';
    if (reader === job.node) return 'node';
    // A storage that copies has to see what a verifier sees.
    if (this.deps.isTrusted?.(reader)) return 'verifier';
    if (this.verifiers.find(reader)) return 'verifier';
    if (await ofChain(this.deps.isVerifier(reader))) {
      this.verifiers.add(reader, reader);
      return 'verifier';
    }
    return job.state === 'REQUESTED' && (await ofChain(this.deps.isActiveNode(reader))) ? 'activeNode' : 'stranger';
  }

  /** Throws `storage/unauthorised`. */
  private parse({ authorization, job }: ReadQuestion): Asked {
    const named = JobId.safeParse(job).data;
    if (authorization === undefined && named !== undefined) return { jobId: named };
    const [scheme, account, name, expires, signature] = (authorization ?? '').split(' ');
    const reader = Address.safeParse(account).data;
    const jobId = JobId.safeParse(name).data;
    const expiresAtMs = Number(expires);
    if (scheme !== 'Emeth-Read' || !reader || !jobId || !Number.isSafeInteger(expiresAtMs) || !signature)
      throw unauthorised('none was sent');
    this.requireSigned({ reader, jobId, expiresAtMs }, signature);
    return { reader, jobId };
  }

  /** Checks each signature once a minute; the time it is valid for, always. */
  private requireSigned(reading: SignedRead, signature: string): void {
    const { reader, jobId, expiresAtMs } = reading;
    const leftMs = expiresAtMs - this.deps.nowMs();
    const clocks = 'correct the clock of the reader, or that of this storage';
    if (leftMs < 0) throw unauthorised(`the signature expired ${Math.ceil(-leftMs / 1000)} s ago; ${clocks}`);
    if (leftMs > MAX_PERMIT_MS) throw unauthorised(`the signature is valid for more than a day from now; ${clocks}`);
    const permit = `${reader} ${jobId} ${expiresAtMs} ${signature}`;
    if (this.signed.find(permit)) return;
    if (this.deps.recoverRead(reading, signature) !== reader)
      throw unauthorised('the signature is not of this account, for this job and this chain');
    this.signed.add(permit, reader);
  }

  private keptRecord(jobId: JobId): JobRecord | undefined {
    const kept = this.records.get(jobId);
    return kept && this.deps.nowMs() < kept.atMs + KEPT_MS ? kept.record : undefined;
  }
}

/** Passes on what the chain answers. Throws `storage/no-chain`, which readers take for passing trouble. */
function ofChain<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((cause: unknown) => {
    throw new AppError<StorageError>(
      { code: 'storage/no-chain', status: 503 },
      'The chain, which decides who may read this blob, does not answer this storage now; try again later.',
      { cause },
    );
  });
}

function unauthorised(problem: string): AppError<StorageError> {
  return new AppError(
    { code: 'storage/unauthorised', status: 401, reason: problem },
    `Reading this blob needs a signature, and ${problem}: send Authorization: Emeth-Read <address> <jobId> <expiresAtMs> <signature>, as a job's requester, its node or a verifier. Manifests, evidence and public jobs are read with ?job=<jobId> instead.`,
  );
}

function notReader(reader: Address, jobId: JobId): AppError<StorageError> {
  const whose =
    jobId === NO_JOB
      ? 'without a job an account reads only what it has uploaded'
      : `of the job ${jobId} its requester, its node and registered verifiers may read, and of its data set, while it is open, every active node`;
  return new AppError(
    { code: 'storage/not-reader', status: 403, reader },
    `${reader} may not read this blob: ${whose}.`,
  );
}

function notOfJob(sha256: Sha256, jobId: JobId): AppError<StorageError> {
  return new AppError(
    { code: 'storage/unknown-blob', status: 404, sha256 },
    `There is no blob ${sha256} of the job ${jobId}: a job opens only what its requester, for data, or its node has uploaded here itself.`,
  );
}
