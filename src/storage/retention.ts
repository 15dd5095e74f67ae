/** Which blobs of a storage go when, and what makes the index and what is really there agree. */
import type { FoundBlob } from '../blobs/blob-store';
import type { Sha256 } from '../domain/ids';
import { removeAtMs, type StorageRules, type StoredBlob } from '../domain/storage-quota';
import { Trouble } from '../lib/trouble';
import { neededNames } from './needed';
import type { SpaceDeps } from './space';

/** How often a storage looks for what may go. */
const SWEEP_MS = 10 * 60_000;
const ROWS_A_PAGE = 500;

/** Removes what nobody needs any more: blobs with a row, and none that a job of this node has made. */
export class Retention {
  private readonly trouble: Trouble;

  constructor(
    private readonly rules: StorageRules,
    private readonly deps: SpaceDeps,
  ) {
    this.trouble = new Trouble(deps.place);
  }

  /** Reconciles once, then sweeps again and again until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.deps;
    for (let isReconciled = false; !signal.aborted; ) {
      try {
        if (!isReconciled) await this.reconcile();
        isReconciled = true;
        await this.sweep();
        this.trouble.end();
      } catch (error) {
        if (this.trouble.note(error, clock.now())) logger.warn('Stored blobs are not tidied up', {}, error);
      }
      const pauseMs = this.trouble.reason === undefined ? SWEEP_MS : this.trouble.pauseMs();
      await clock.sleep(pauseMs, signal).catch(() => undefined);
    }
  }

  /** Notes what open jobs need, and removes what has expired. Returns how many blobs went. */
  async sweep(): Promise<number> {
    const { index, place, clock, needs, logger } = this.deps;
    const nowMs = clock.now();
    // A job may be requested and over between two sweeps.
    const needed = await neededNames(this.deps, nowMs - 2 * SWEEP_MS);
    await index.noteNeeded(place, [...needed], nowMs);
    const expired: StoredBlob[] = [];
    for await (const blob of this.rows()) if (removeAtMs(blob, this.rules) <= nowMs) expired.push(blob);
    if (expired.length === 0) return 0;
    const own = await needs.ownNames();
    const gone = expired.filter(({ sha256 }) => !needed.has(sha256) && !own.has(sha256));
    for (const blob of gone) await this.remove(blob);
    const bytes = gone.reduce((sum, { writtenBytes }) => sum + writtenBytes, 0);
    if (gone.length > 0) logger.info('Stored blobs removed, as their time is over', { blobs: gone.length, bytes });
    return gone.length;
  }

  /** Gives a row to every blob and part without one, and takes the rows of those that are not there. */
  async reconcile(): Promise<void> {
    const { blobs, needs, index, place, logger } = this.deps;
    const own = await needs.ownNames();
    /** The names that are there, with true for a whole blob. */
    const seen = new Map<Sha256, boolean>();
    for await (const found of blobs.list()) {
      if (found.isPart && seen.get(found.sha256)) continue;
      seen.set(found.sha256, !found.isPart);
      await this.noteFound(found, own);
    }
    let lost = 0;
    for await (const row of this.rows()) {
      if (await this.isThere(row, seen.get(row.sha256))) continue;
      lost += 1;
      await index.forget(place, row.sha256);
    }
    if (lost > 0) logger.warn('Blobs of the index are not there any more', { blobs: lost });
  }

  private async noteFound({ sha256, bytes, isPart }: FoundBlob, own: ReadonlySet<Sha256>): Promise<void> {
    const { index, place } = this.deps;
    const row = await index.find(place, sha256);
    if (!row) {
      if (!own.has(sha256)) await index.add(place, this.foundRow(sha256, bytes, isPart));
    } else if (row.finishedAtMs === undefined) {
      const note = isPart ? index.noteWritten.bind(index) : index.noteFinished.bind(index);
      await note(place, sha256, bytes, row.writtenAtMs);
    }
  }

  /** Looks again for what was not found whole, as it may have arrived while everything was listed. */
  private async isThere({ sha256, finishedAtMs, writtenBytes }: StoredBlob, isWhole?: boolean): Promise<boolean> {
    if (isWhole !== undefined && (finishedAtMs === undefined || isWhole)) return true;
    // An upload that was admitted and has no byte yet is not lost.
    if (finishedAtMs === undefined && writtenBytes === 0) return true;
    const { blobs } = this.deps;
    if (await blobs.stat(sha256)) return true;
    return finishedAtMs === undefined && (await blobs.partBytes(sha256)) > 0;
  }

  private foundRow(sha256: Sha256, bytes: number, isPart: boolean): StoredBlob {
    const atMs = this.deps.clock.now();
    const times = { beganAtMs: atMs, writtenAtMs: atMs, neededAtMs: atMs };
    return {
      sha256,
      purpose: 'found',
      bytes,
      writtenBytes: bytes,
      ...times,
      ...(isPart ? {} : { finishedAtMs: atMs }),
    };
  }

  private async remove({ sha256 }: StoredBlob): Promise<void> {
    const { blobs, index, place, floor } = this.deps;
    await blobs.remove(sha256);
    await index.forget(place, sha256);
    floor?.forget();
  }

  private async *rows(): AsyncIterable<StoredBlob> {
    const { index, place } = this.deps;
    for (let after: Sha256 | '' = ''; ; ) {
      const page: StoredBlob[] = await index.list(place, after, ROWS_A_PAGE);
      yield* page;
      const last = page.at(-1);
      if (!last || page.length < ROWS_A_PAGE) return;
      after = last.sha256;
    }
  }
}
