/** Keeps the bases of a master, and removes those that no open job needs: in time, or for room. */
import { readFile } from 'node:fs/promises';
import { parseFileList, removeBaseDirs } from '../blobs/base-dir';
import type { BlobStore } from '../blobs/blob-store';
import type { Address, Sha256 } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { DiskFloor } from '../lib/disk-floor';
import type { Logger } from '../lib/logger';
import type { StorageSpace } from '../storage/space';
import type { Store } from '../store/open';

interface BaseKeeperDeps {
  /** Where the directories of all bases lie. */
  root: string;
  blobs: BlobStore;
  needs: Pick<Store['storageNeeds'], 'openNames'>;
  space: Pick<StorageSpace, 'dropIdle'>;
  floor: Pick<DiskFloor, 'roomBytes' | 'forget'>;
  /** The operator's account, to which what a master fetches belongs. */
  own: Address;
  clock: Clock;
  logger: Logger;
}

const SWEEP_MS = 10 * 60_000;

export class BaseKeeper {
  constructor(private readonly deps: BaseKeeperDeps) {}

  /** Until the signal, removes the directories whose list the storage's rules have removed. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, blobs, logger } = this.deps;
    while (!signal.aborted) {
      const isStored = async (list: Sha256) => (await blobs.stat(list)) !== undefined;
      await this.remove(isStored).catch((error) => logger.warn('Old bases are not tidied up', {}, error));
      await clock.sleep(SWEEP_MS, signal).catch(() => undefined);
    }
  }

  /** Removes bases with their blobs, where the disk has no room for so many bytes more. */
  async makeRoom(bytes: number): Promise<void> {
    const { floor, blobs, space, own } = this.deps;
    if ((await floor.roomBytes()) >= bytes) return;
    const names = new Map<Sha256, readonly Sha256[]>();
    const removed = await this.remove(async (list) => {
      names.set(list, await filesOf(list, blobs));
      return false;
    });
    const gone = new Set(removed.flatMap((list) => [list, ...(names.get(list) ?? [])]));
    if (gone.size > 0) await space.dropIdle(own, gone);
    floor.forget();
  }

  /** Removes directories that neither an open job needs nor `isKept` wants. */
  private async remove(isKept: (list: Sha256) => Promise<boolean>): Promise<Sha256[]> {
    const { root, needs, floor, logger } = this.deps;
    const needed = new Set((await needs.openNames()).lists);
    const removed = await removeBaseDirs(root, async (list) => needed.has(list) || isKept(list));
    if (removed.length === 0) return removed;
    floor.forget();
    logger.info('Bases removed that no job needs', { bases: removed });
    return removed;
  }
}

async function filesOf(list: Sha256, blobs: BlobStore): Promise<Sha256[]> {
  const text = await readFile(blobs.path(list), 'utf8').catch(() => undefined);
  return text === undefined ? [] : parseFileList(list, text).files.map(({ sha256 }) => sha256);
}
