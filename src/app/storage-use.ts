/** What takes the disk of a master, as its operator sees it. */
import type { DiskFloor } from '../lib/disk-floor';
import type { AdminApi, DiskUse, MasterStatus } from '../protocol/admin';
import type { StorageSpace } from '../storage/space';

interface StorageUseDeps {
  floor: Pick<DiskFloor, 'roomBytes' | 'minFreeBytes'>;
  space: Pick<StorageSpace, 'sums' | 'accounts'>;
  /** Bytes of the evidence of the master's own jobs. */
  evidenceBytes(): number;
}

/** Returns the methods of the admin API that tell it. */
export function storageAdmin(
  deps: StorageUseDeps,
  status: () => Promise<Omit<MasterStatus, 'disk'>>,
): Pick<AdminApi, 'status' | 'storage'> {
  return {
    // A status is also wanted while the index cannot be read.
    status: async () => ({ ...(await status()), disk: await readDiskUse(deps).catch(() => undefined) }),
    storage: async () => ({ ...(await readDiskUse(deps)), accounts: await deps.space.accounts() }),
  };
}

async function readDiskUse({ floor, space, evidenceBytes }: StorageUseDeps): Promise<DiskUse> {
  const { minFreeBytes } = floor;
  const kinds = (await space.sums()).map(({ purpose: kind, sum }) => ({ kind, ...sum }));
  return {
    freeBytes: (await floor.roomBytes()) + minFreeBytes,
    minFreeBytes,
    kinds: [{ kind: 'jobs', bytes: evidenceBytes() }, ...kinds],
  };
}
