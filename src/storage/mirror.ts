/**
 * Copies what open jobs need from other storages: one that dies then takes nothing along that others need.
 */
import type { BlobSource } from '../blobs/located-blobs';
import type { StoredBlobs } from '../blobs/stored-blobs';
import type { Address, JobId, Sha256 } from '../domain/ids';
import { BoundedMap } from '../lib/bounded-map';
import type { Clock } from '../lib/clock';
import { errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { publishedBlobs } from '../replay/published';
import { tooLargeToStore } from './errors';
import type { StorageSpace } from './space';
import { readStoredList } from './stored-list';
import { readStoredManifest } from './stored-manifest';

/** What of a job has to be here. */
export interface WantedJob {
  readonly jobId: JobId;
  /** The data set of its request, if that lies in storages; its requester answers for the space. */
  readonly data?: WantedBlob | undefined;
  /** The file list of the base of its request, likewise. */
  readonly base?: WantedBlob | undefined;
  /** The manifest of its submitted result; its node answers for the space. */
  readonly result?: WantedBlob | undefined;
}

export interface WantedBlob {
  readonly sha256: Sha256;
  readonly owner: Address;
}

export interface MirrorDeps {
  /** Lists the jobs that are open or await a verdict. */
  wanted(): Promise<readonly WantedJob[]>;
  /** Opens the peers, and the storages that the job's references name. */
  sourceOf(jobId: JobId): BlobSource;
  blobs: StoredBlobs;
  space: Pick<StorageSpace, 'begin' | 'require' | 'noteWritten' | 'noteFinished'>;
  /** Notes that an account has a blob: it was copied from where the account may read it. */
  addHolder(sha256: Sha256, account: Address): Promise<void>;
  clock: Clock;
  logger: Logger;
}

export interface MirrorOptions {
  /** No larger blob is copied. */
  maxBytes: number;
  pauseMs?: number | undefined;
}

/** What a mirror has done since its start. */
export interface MirrorTotals {
  blobs: number;
  bytes: number;
  failures: number;
}

/** One pass over one job: where its blobs come from, and what has come. */
interface CopyOfJob {
  readonly source: BlobSource;
  readonly signal: AbortSignal;
  blobs: number;
  bytes: number;
}

const PAUSE_MS = 5_000;
const AT_ONCE = 4;
const FIRST_RETRY_MS = 10_000;
const LAST_RETRY_MS = 10 * 60_000;
/** Failed blobs that are remembered; of more, some are tried again sooner. */
const MAX_FAILED = 10_000;
/** How often a long copy is noted in the index, so that it does not count as stalled. */
const NOTE_MS = 10_000;

/** A mirror of the storages that a market's jobs name. */
export class Mirror {
  readonly totals: MirrorTotals = { blobs: 0, bytes: 0, failures: 0 };
  /** Jobs of which everything is here, by what that was. */
  private readonly complete = new Map<JobId, string>();
  private readonly failed = new BoundedMap<Sha256, { failures: number; retryAtMs: number }>(MAX_FAILED);

  constructor(
    private readonly options: MirrorOptions,
    private readonly deps: MirrorDeps,
  ) {}

  /** Copies until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.deps;
    while (!signal.aborted) {
      await this.pass(signal).catch((error) => {
        if (!signal.aborted) logger.warn('Blobs of other storages are not copied; trying again', {}, error);
      });
      await clock.sleep(this.options.pauseMs ?? PAUSE_MS, signal).catch(() => undefined);
    }
  }

  /** Copies what is missing of every job, a few at a time: results first, as somebody waits for them. */
  async pass(signal: AbortSignal): Promise<void> {
    const jobs = await this.deps.wanted();
    const wanted = new Set(jobs.map(({ jobId }) => jobId));
    for (const jobId of this.complete.keys()) if (!wanted.has(jobId)) this.complete.delete(jobId);
    const order = [...jobs].sort((a, b) => Number(b.result !== undefined) - Number(a.result !== undefined));
    // A job whose references name storages that do not answer holds up no other one.
    await eachOf(order, signal, async (job) => {
      const all = `${job.data?.sha256} ${job.base?.sha256} ${job.result?.sha256}`;
      if (this.complete.get(job.jobId) === all) return;
      if (await this.copyJob(job, signal)) this.complete.set(job.jobId, all);
    });
    signal.throwIfAborted();
  }

  /** Returns whether everything of the job is here. */
  private async copyJob({ jobId, data, base, result }: WantedJob, signal: AbortSignal): Promise<boolean> {
    const from: CopyOfJob = { source: this.deps.sourceOf(jobId), signal, blobs: 0, bytes: 0 };
    let isComplete = data === undefined || (await this.copy(data, from));
    if (base) isComplete = (await this.copyBase(base, from)) && isComplete;
    if (result) isComplete = (await this.copyResult(result, from)) && isComplete;
    const { blobs, bytes } = from;
    if (blobs > 0)
      this.deps.logger.info('Blobs of a job copied from other storages', { jobId, blobs, bytes, isComplete });
    return isComplete;
  }

  private async copyResult(result: WantedBlob, from: CopyOfJob): Promise<boolean> {
    if (!(await this.copy(result, from))) return false;
    const manifest = await readStoredManifest(this.deps.blobs, result.sha256);
    const all = await this.copyAll(manifest ? publishedBlobs(manifest) : [], result, from);
    // Of a base from a hub, its node has published no more than the list.
    const list = manifest?.base?.list;
    return list === undefined ? all : (await this.copy({ ...result, sha256: list }, from)) && all;
  }

  private async copyBase(list: WantedBlob, from: CopyOfJob): Promise<boolean> {
    if (!(await this.copy(list, from))) return false;
    return this.copyAll(await readStoredList(this.deps.blobs, list.sha256), list, from);
  }

  private async copyAll(names: readonly Sha256[], { owner }: WantedBlob, from: CopyOfJob): Promise<boolean> {
    let isComplete = true;
    await eachOf(names, from.signal, async (sha256) => {
      if (!(await this.copy({ owner, sha256 }, from))) isComplete = false;
    });
    return isComplete;
  }

  /** Returns whether the blob is here now. One that failed is left for a while. */
  private async copy(wanted: WantedBlob, from: CopyOfJob): Promise<boolean> {
    const { sha256 } = wanted;
    const { blobs, clock, logger } = this.deps;
    if (await blobs.stat(sha256)) return true;
    const before = this.failed.get(sha256);
    if (before && clock.now() < before.retryAtMs) return false;
    try {
      await this.fetch(wanted, from);
      this.failed.delete(sha256);
      return true;
    } catch (error) {
      from.signal.throwIfAborted();
      this.totals.failures += 1;
      const failures = (before?.failures ?? 0) + 1;
      const retryAtMs = clock.now() + Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LAST_RETRY_MS);
      this.failed.set(sha256, { failures, retryAtMs });
      if (failures === 1) logger.debug('A blob cannot be copied yet', { sha256, reason: errorCode(error) });
      return false;
    }
  }

  /** Its owner's quota bounds a copy as it bounds an upload. */
  private async fetch({ sha256, owner }: WantedBlob, from: CopyOfJob): Promise<void> {
    const { source, signal } = from;
    const { blobs, space, clock } = this.deps;
    const bytes = await source.size(sha256, signal);
    if (bytes > this.options.maxBytes) throw tooLargeToStore(bytes, this.options.maxBytes);
    await space.begin({ sha256, owner, bytes });
    await space.require(bytes);
    let notedAtMs = clock.now();
    const onProgress = (done: number) => {
      if (clock.now() < notedAtMs + NOTE_MS) return;
      notedAtMs = clock.now();
      // Only a copy that takes long is noted; if that fails, it may count as stalled.
      void space.noteWritten(sha256, done).catch(() => undefined);
    };
    const into = { stat: () => blobs.stat(sha256), openPartInTurn: () => blobs.openPart(sha256) };
    // Another storage may claim another size, which nobody's quota has paid for.
    await source.download(sha256, into, bytes, { signal, onProgress });
    await space.noteFinished({ sha256, owner, bytes });
    await this.deps.addHolder(sha256, owner);
    for (const sum of [this.totals, from]) {
      sum.blobs += 1;
      sum.bytes += bytes;
    }
  }
}

/** Does `work` with each entry in turn, a few at a time, until the signal. */
async function eachOf<T>(entries: readonly T[], signal: AbortSignal, work: (entry: T) => Promise<void>): Promise<void> {
  const waiting = [...entries];
  const next = async () => {
    for (let entry = waiting.shift(); entry !== undefined && !signal.aborted; entry = waiting.shift())
      await work(entry);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
}
