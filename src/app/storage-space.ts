/** Opens the space of a storage, joined with chain and store: its index, quotas, and what goes when. */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoredBlobs } from '../blobs/stored-blobs';
import type { Chain } from '../chain/rpc/client';
import type { MasterConfig } from '../config/roles/master';
import type { Address, Sha256 } from '../domain/ids';
import type { StorageRules } from '../domain/storage-quota';
import { type Clock, systemClock } from '../lib/clock';
import { DiskFloor } from '../lib/disk-floor';
import type { Logger } from '../lib/logger';
import { Retention } from '../storage/retention';
import { StorageSpace } from '../storage/space';
import type { Store } from '../store/open';
import { keepReserve } from '../store/reserve';
import { makeDataDir } from './data-dir';
import { storeOptions } from './role-settings';

interface StorageSpaceParts {
  /** As `placeOf` returns it, or what names a bucket. */
  place: string;
  rules: StorageRules;
  blobs: StoredBlobs;
  /** The disk of the blobs; absent where they are not on this machine. */
  floor?: DiskFloor | undefined;
  store: Pick<Store, 'storedBlobs' | 'storageNeeds'>;
  chain: Pick<Chain, 'isVerifier' | 'credit' | 'tokenBalance'>;
  /** The operator's account. */
  own?: Address | undefined;
  clock: Clock;
  logger: Logger;
}

export function openSpace(parts: StorageSpaceParts): { space: StorageSpace; retention: Retention } {
  const { rules, store, chain, own, ...rest } = parts;
  const { storedBlobs: index, storageNeeds: needs } = store;
  const deps = {
    ...rest,
    index,
    needs,
    async account(owner: Address) {
      const isOwn = owner === own;
      const { feesWei, taken: jobs } = await needs.openJobsOf(owner);
      const money = isOwn ? [] : await Promise.all([chain.credit(owner), chain.tokenBalance(owner)]);
      const isVerifier = !isOwn && (await chain.isVerifier(owner));
      return { isOwn, isVerifier, jobs, moneyWei: money.reduce((sum, wei) => sum + wei, feesWei) };
    },
  };
  return { space: new StorageSpace(rules, deps), retention: new Retention(rules, deps) };
}

interface RoleSpaceParts extends Omit<StorageSpaceParts, 'place' | 'rules' | 'floor' | 'clock'> {
  config: Pick<MasterConfig, 'minFreeBytes' | 'space' | 'external_db'>;
  dataDir: string;
  /** What names the bucket that the blobs lie in; absent where they lie in the data directory. */
  bucketPlace?: string | undefined;
}

interface RoleSpace {
  floor: DiskFloor;
  space: StorageSpace;
  /** Removes what nobody needs, and keeps the reserve of the queue's database, until the signal. */
  keep(signal: AbortSignal): Promise<void>;
}

/** Opens the space of a role. Its index lies in its data directory, and its blobs there or in a bucket. */
export async function openRoleSpace(all: RoleSpaceParts): Promise<RoleSpace> {
  const { config, dataDir, bucketPlace, ...parts } = all;
  const floor = new DiskFloor(dataDir, config.minFreeBytes);
  const clock = systemClock;
  const where = bucketPlace === undefined ? { place: await placeOf(dataDir), floor } : { place: bucketPlace };
  const { space, retention } = openSpace({ ...parts, ...where, rules: config.space, clock });
  const database = storeOptions(config, dataDir);
  return {
    floor,
    space,
    async keep(signal) {
      const isHere = database.kind === 'sqlite';
      const reserve = isHere && keepReserve(database.path, { floor, clock, logger: parts.logger }, signal);
      await Promise.all([retention.run(signal), reserve]);
    },
  };
}

/** Has what a master fetches go once no job needs it. */
export async function noteFetched<T extends { sha256: Sha256; bytes: number }>(
  fetched: T,
  { wallet }: { wallet: { address: Address } },
  space: StorageSpace,
): Promise<T> {
  await space.noteOwn({ ...fetched, owner: wallet.address });
  return fetched;
}

/** Returns the name of this directory's files in an index that several storages may share; made once. */
async function placeOf(dataDir: string): Promise<string> {
  await makeDataDir(dataDir);
  const path = join(dataDir, 'storage-id');
  await writeFile(path, randomUUID(), { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return (await readFile(path, 'utf8')).trim();
}
