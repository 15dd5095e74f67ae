/** Who may store how much: admits uploads by account, count and free space, and keeps the index of blobs. */
import type { StoredBlobs } from '../blobs/stored-blobs';
import { formatEmt } from '../domain/emt';
import type { Address, Sha256 } from '../domain/ids';
import {
  allowanceOf,
  isStalled,
  purposeOf,
  type StorageAccount,
  type StorageRules,
  type StoredBlob,
  wasNeeded,
} from '../domain/storage-quota';
import type { Clock } from '../lib/clock';
import type { DiskFloor } from '../lib/disk-floor';
import { AppError } from '../lib/errors';
import { formatBytes } from '../lib/format-bytes';
import { inTurn } from '../lib/in-turn';
import type { Logger } from '../lib/logger';
import type { AccountUse } from '../protocol/admin';
import type { StoredBlobIndex } from '../store/stored-blobs';
import { type NeededDeps, neededNames } from './needed';

export type SpaceError =
  | { code: 'storage/not-allowed'; status: 403; owner: Address }
  | { code: 'storage/over-quota'; status: 403; owner: Address; bytes: number; usedBytes: number; allowedBytes: number }
  | { code: 'storage/too-many-uploads'; status: 429; unfinished: number; limit: number }
  | { code: 'storage/another-uploads'; status: 423; sha256: Sha256 }
  | { code: 'storage/no-room'; status: 507; neededBytes: number; roomBytes: number };

export interface SpaceDeps extends NeededDeps {
  /** Which rows of the index are of this storage's files or bucket. */
  place: string;
  index: StoredBlobIndex;
  blobs: StoredBlobs;
  account(owner: Address): Promise<StorageAccount>;
  /** The disk of the blobs; absent where they lie elsewhere. */
  floor?: Pick<DiskFloor, 'roomBytes' | 'require' | 'forget' | 'minFreeBytes'> | undefined;
  clock: Clock;
  logger: Logger;
}

export interface Upload {
  sha256: Sha256;
  owner: Address;
  bytes: number;
}

/** So many accounts are looked at to find some whose money no longer covers what they stored. */
const MOST_OWNERS = 50;

/** The space of one storage, by account. */
export class StorageSpace {
  /** New uploads one by one: two at once must not both get the last place. */
  private readonly oneByOne = inTurn();

  constructor(
    private readonly rules: StorageRules,
    private readonly deps: SpaceDeps,
  ) {}

  /** Admits an upload, new or resumed. Throws `storage/…` with figures and remedy. */
  async begin(upload: Upload): Promise<void> {
    if (isContinued(await this.find(upload.sha256), upload)) return;
    // The chain may be slow: nobody waits for the answer about another account.
    const account = await this.deps.account(upload.owner);
    await this.oneByOne(() => this.admit(upload, account));
  }

  /** Throws `storage/not-allowed` for an account that may store nothing here. */
  async requireAccount(owner: Address): Promise<void> {
    const account = await this.deps.account(owner);
    if (!account.isOwn && allowanceOf(account, this.rules) === 0 && account.moneyWei === 0n) throw notAllowed(owner);
  }

  /** To be asked before bytes are written. Throws `disk/low`. */
  async require(bytes: number): Promise<void> {
    await this.deps.floor?.require(bytes);
  }

  async noteWritten(sha256: Sha256, writtenBytes: number): Promise<void> {
    const { index, place, clock } = this.deps;
    await index.noteWritten(place, sha256, writtenBytes, clock.now());
  }

  async noteFinished({ sha256, owner, bytes }: Upload): Promise<void> {
    const { index, place, clock } = this.deps;
    // The row of an upload that took very long may have gone.
    if (!(await this.find(sha256))) await index.add(place, this.newRow({ sha256, owner, bytes }, 'data'));
    await index.noteFinished(place, sha256, bytes, clock.now());
  }

  /** Notes that the bytes of an upload were dropped. */
  async noteDropped(sha256: Sha256): Promise<void> {
    await this.deps.index.forget(this.deps.place, sha256);
  }

  /** Notes a blob that this storage's own operator brought here, such as a data set from the web. */
  async noteOwn({ sha256, owner, bytes }: Upload): Promise<void> {
    const { index, place } = this.deps;
    await index.add(place, { ...this.newRow({ sha256, owner, bytes }, 'data'), finishedAtMs: this.deps.clock.now() });
  }

  /** Removes some of what an account stored completely, as far as no job needs it. */
  async dropIdle(owner: Address, names: ReadonlySet<Sha256>): Promise<void> {
    for (const blob of await this.idleOf(owner, ({ sha256 }) => names.has(sha256))) await this.drop(blob);
  }

  /** Sums what is stored here for each purpose. */
  sums(): ReturnType<StoredBlobIndex['sumsByPurpose']> {
    return this.deps.index.sumsByPurpose(this.deps.place);
  }

  /** Lists the accounts that have most bytes here, with what each may have. */
  async accounts(): Promise<AccountUse[]> {
    const { index, place, account: accountOf } = this.deps;
    const rows = await index.sumsByOwner(place, MOST_OWNERS);
    return Promise.all(
      rows.map(async ({ owner: account, sum }) => {
        const found = account && (await accountOf(account).catch(() => undefined));
        const isBound = found && !found.isOwn;
        return { account, ...sum, ...(isBound ? { allowedBytes: allowanceOf(found, this.rules) } : {}) };
      }),
    );
  }

  private find(sha256: Sha256): Promise<StoredBlob | undefined> {
    return this.deps.index.find(this.deps.place, sha256);
  }

  private async admit(upload: Upload, account: StorageAccount): Promise<void> {
    const { index, place, clock } = this.deps;
    const known = await this.find(upload.sha256);
    if (isContinued(known, upload)) return;
    const { owner } = known ?? {};
    const isOthers = known?.finishedAtMs === undefined && owner !== undefined && owner !== upload.owner;
    if (known && isOthers && !isStalled(known, clock.now())) throw anotherUploads(upload.sha256);
    // What this account left unfinished with another length, or a blob that is gone.
    if (known && !isOthers) await this.drop(known);
    if (!account.isOwn) await this.requireRight(upload, account);
    await this.requireRoom(upload.bytes);
    if (known && isOthers) await this.drop(known);
    await index.add(place, this.newRow(upload, purposeOf(account)));
  }

  /** Lists unfinished uploads, the one without news for longest first. */
  private async unfinished(): Promise<StoredBlob[]> {
    const { index, place } = this.deps;
    return (await index.unfinished(place)).filter(({ purpose }) => purpose !== 'found');
  }

  private newRow({ sha256, owner, bytes }: Upload, purpose: StoredBlob['purpose']): StoredBlob {
    const atMs = this.deps.clock.now();
    const times = { beganAtMs: atMs, writtenAtMs: atMs, neededAtMs: atMs };
    return { sha256, owner, bytes, purpose, writtenBytes: 0, ...times };
  }

  /**
   * Of unfinished uploads, those without news make room for new ones: an account's own for its own, and any
   * for one that has a right to store.
   */
  private async requireRight(upload: Upload, account: StorageAccount): Promise<void> {
    const { uploadsPerAccount, uploads } = this.rules;
    const ofOwner = (await this.unfinished()).filter(({ owner }) => owner === upload.owner);
    const left = await this.dropStalled(ofOwner, ofOwner.length - uploadsPerAccount + 1);
    if (left >= uploadsPerAccount) {
      throw tooMany(left, uploadsPerAccount, `This account has ${left} unfinished uploads here`);
    }
    await this.requireQuota(upload, account);
    const all = await this.unfinished();
    const inAll = await this.dropStalled(all, all.length - uploads + 1);
    if (inAll >= uploads) throw tooMany(inAll, uploads, `This storage has ${inAll} unfinished uploads`);
  }

  private async requireQuota({ owner, bytes }: Upload, account: StorageAccount): Promise<void> {
    const allowedBytes = allowanceOf(account, this.rules);
    if (allowedBytes === 0 && account.moneyWei === 0n) throw notAllowed(owner);
    const { index, place } = this.deps;
    let { bytes: usedBytes } = await index.sumOf(place, owner);
    if (usedBytes + bytes > allowedBytes && bytes <= allowedBytes) {
      usedBytes -= await this.dropEnded(owner, usedBytes + bytes - allowedBytes);
    }
    if (usedBytes + bytes <= allowedBytes) return;
    const { bytesPerEmt, bytesPerJob } = this.rules;
    const basis = `${formatBytes(bytesPerEmt)} for each of its ${formatEmt(account.moneyWei)} in tokens, credit and open jobs, ${formatBytes(bytesPerJob)} for each of ${account.jobs} jobs that it works on`;
    throw new AppError<SpaceError>(
      { code: 'storage/over-quota', status: 403, owner, bytes, usedBytes, allowedBytes },
      `${owner} may store ${formatBytes(allowedBytes)} here (${basis}), uses ${formatBytes(usedBytes)}, and asks for ${formatBytes(bytes)}; hold more EMT, or wait until its older uploads go.`,
    );
  }

  /** Uploads count in full from their start, so that all that were admitted can be finished. */
  private async requireRoom(bytes: number): Promise<void> {
    const { floor } = this.deps;
    if (!floor) return;
    let lacking = bytes - (await this.roomBytes());
    if (lacking > 0) {
      const unfinished = await this.deps.index.unfinished(this.deps.place);
      const stalled = unfinished.filter((blob) => isStalled(blob, this.deps.clock.now()));
      for (const blob of stalled) {
        if (lacking <= 0) break;
        await this.drop(blob);
        lacking -= blob.bytes;
      }
      if (lacking > 0) await this.dropUncovered(lacking);
      lacking = bytes - (await this.roomBytes());
    }
    if (lacking <= 0) return;
    const roomBytes = Math.max(0, bytes - lacking);
    throw new AppError<SpaceError>(
      { code: 'storage/no-room', status: 507, neededBytes: bytes, roomBytes },
      `The upload has ${formatBytes(bytes)}, and this storage has room for ${formatBytes(roomBytes)} beside unfinished uploads and minFreeBytes (${formatBytes(floor.minFreeBytes)}); its operator must make room, or use another storage.`,
    );
  }

  private async roomBytes(): Promise<number> {
    const { floor, index, place } = this.deps;
    const unfinished = await index.unfinished(place);
    const awaited = unfinished.reduce((sum, { bytes, writtenBytes }) => sum + bytes - writtenBytes, 0);
    return ((await floor?.roomBytes()) ?? Number.POSITIVE_INFINITY) - awaited;
  }

  /** Drops up to `count` of these uploads that are stalled; returns how many of all are left. */
  private async dropStalled(uploads: readonly StoredBlob[], count: number): Promise<number> {
    const stalled = uploads.filter((blob) => isStalled(blob, this.deps.clock.now())).slice(0, Math.max(0, count));
    for (const blob of stalled) await this.drop(blob);
    return uploads.length - stalled.length;
  }

  /** Drops an account's stalled uploads, and what its jobs needed that are over; returns how many bytes. */
  private async dropEnded(owner: Address, bytes: number): Promise<number> {
    const nowMs = this.deps.clock.now();
    const stalled = (await this.unfinished()).filter((blob) => blob.owner === owner && isStalled(blob, nowMs));
    return this.dropUntil(bytes, [...stalled, ...(await this.idleOf(owner, wasNeeded))]);
  }

  /** Drops uploads for which no job came, of accounts whose money has gone elsewhere meanwhile. */
  private async dropUncovered(bytes: number): Promise<void> {
    const { index, place, account } = this.deps;
    let lacking = bytes;
    for (const { owner, sum } of await index.sumsByOwner(place, MOST_OWNERS)) {
      if (lacking <= 0) return;
      if (owner === undefined) continue;
      const excess = sum.bytes - allowanceOf(await account(owner), this.rules);
      if (excess > 0) lacking -= await this.dropUntil(excess, await this.idleOf(owner, (blob) => !wasNeeded(blob)));
    }
  }

  /** Lists what an account stored completely and no open job needs, the oldest first. */
  private async idleOf(owner: Address, matches: (blob: StoredBlob) => boolean): Promise<StoredBlob[]> {
    const stored = (await this.deps.index.finishedOf(this.deps.place, owner)).filter(matches);
    // Most accounts have none, and what follows reads all jobs.
    if (stored.length === 0) return [];
    const needed = await neededNames(this.deps);
    const own = await this.deps.needs.ownNames();
    return stored.filter(({ sha256 }) => !needed.has(sha256) && !own.has(sha256));
  }

  private async dropUntil(bytes: number, blobs: readonly StoredBlob[]): Promise<number> {
    let dropped = 0;
    for (const blob of blobs) {
      if (dropped >= bytes) break;
      await this.drop(blob);
      dropped += blob.bytes;
    }
    return dropped;
  }

  private async drop(blob: StoredBlob): Promise<void> {
    const { blobs, index, place, floor, logger } = this.deps;
    await blobs.remove(blob.sha256);
    await index.forget(place, blob.sha256);
    floor?.forget();
    const { sha256, owner, bytes, writtenBytes } = blob;
    logger.info('Stored blob removed to make room', { sha256, owner, bytes, writtenBytes });
  }
}

function isContinued(known: StoredBlob | undefined, { owner, bytes }: Upload): boolean {
  return known?.finishedAtMs === undefined && known?.owner === owner && known.bytes === bytes;
}

function anotherUploads(sha256: Sha256): AppError<SpaceError> {
  return new AppError(
    { code: 'storage/another-uploads', status: 423, sha256 },
    'Another account is uploading this blob; wait until it is there.',
  );
}

function notAllowed(owner: Address): AppError<SpaceError> {
  return new AppError(
    { code: 'storage/not-allowed', status: 403, owner },
    `${owner} may not upload here; only accounts with EMT or credit may.`,
  );
}

function tooMany(unfinished: number, limit: number, found: string): AppError<SpaceError> {
  return new AppError(
    { code: 'storage/too-many-uploads', status: 429, unfinished, limit },
    `${found}, and ${limit} are the most; finish one, or wait a minute: one without news for so long makes room.`,
  );
}
