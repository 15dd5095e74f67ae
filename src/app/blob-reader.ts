/** The account that reads blobs: a daemon's own, or that of a command, which may do without. */
import type { JobReader } from '../blobs/read-pass';
import { openWallet, type Wallet } from '../chain/sending/wallet';
import { errorCode } from '../lib/errors';
import { readTypes, STORAGE_DOMAIN } from '../protocol/storage';
import { type KeySettings, keyOf } from './keys';

export function blobReaderOf(wallet: Pick<Wallet, 'address' | 'signTyped'>): JobReader {
  return { address: wallet.address, sign: (read) => wallet.signTyped(STORAGE_DOMAIN, readTypes, read) };
}

interface ReaderParts {
  config: KeySettings;
  dataDir: string;
  chain: { readonly chainId: number };
}

/**
 * Opens the account of a command or a storage that reads; undefined where the configuration names none,
 * which is enough for public jobs. Throws `wallet/…` for a key that cannot be used.
 */
export async function openBlobReader({ config, dataDir, chain }: ReaderParts): Promise<JobReader | undefined> {
  try {
    return blobReaderOf(await openWallet(keyOf(config, dataDir), chain.chainId));
  } catch (error) {
    if (errorCode(error) === 'config/no-key') return undefined;
    throw error;
  }
}
