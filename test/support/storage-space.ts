/** The space of a storage for tests: a real index, and accounts with the money that a test gives them. */
import type { StoredBlobs } from '../../src/blobs/stored-blobs';
import type { Address } from '../../src/domain/ids';
import type { StorageAccount, StorageRules } from '../../src/domain/storage-quota';
import { type Clock, systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { Retention } from '../../src/storage/retention';
import { type SpaceDeps, StorageSpace } from '../../src/storage/space';
import type { Store } from '../../src/store/open';

export const EMT = 10n ** 18n;
export const MIB = 2 ** 20;

/** What the settings are by default. */
export const testRules: StorageRules = {
  bytesPerEmt: 256 * MIB,
  bytesPerJob: 20e9,
  uploadsPerAccount: 4,
  uploads: 64,
  unfinishedHours: 6,
  unusedDays: 7,
  keptDays: 90,
};

interface TestSpaceOptions {
  blobs: StoredBlobs;
  store: Pick<Store, 'storedBlobs' | 'storageNeeds'>;
  /** What an account has; by default 10 EMT. */
  account?: (owner: Address) => Partial<StorageAccount> | Promise<Partial<StorageAccount>>;
  rules?: Partial<StorageRules>;
  floor?: SpaceDeps['floor'];
  clock?: Clock;
  place?: string;
}

/** Opens space and retention over the same index. */
export function openTestSpace(options: TestSpaceOptions): { space: StorageSpace; retention: Retention } {
  const { blobs, store, account = () => ({}), floor, clock = systemClock, place = 'test' } = options;
  const rules = { ...testRules, ...options.rules };
  const deps: SpaceDeps = {
    place,
    blobs,
    index: store.storedBlobs,
    needs: store.storageNeeds,
    account: async (owner) => ({
      ...{ moneyWei: 10n * EMT, jobs: 0, isVerifier: false, isOwn: false },
      ...(await account(owner)),
    }),
    floor,
    clock,
    logger: silentLogger,
  };
  return { space: new StorageSpace(rules, deps), retention: new Retention(rules, deps) };
}
