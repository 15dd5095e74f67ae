import { join } from 'node:path';
import type { MasterConfig } from '../config/schema';
import { openStore, type Store, type StoreOptions } from '../store/open';

/** Where a master keeps its queue: `external_db`, or a SQLite file in its data directory. */
export function storeOptions(config: Pick<MasterConfig, 'external_db'>, dataDir: string): StoreOptions {
  if (config.external_db) return { kind: 'mysql', ...config.external_db };
  return { kind: 'sqlite', path: join(dataDir, 'queue.sqlite') };
}

/** Opens the master's queue; it may be running meanwhile. */
export async function openMasterStore(config: Pick<MasterConfig, 'external_db'>, dataDir: string): Promise<Store> {
  return openStore(storeOptions(config, dataDir));
}
