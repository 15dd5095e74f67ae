/** A base model as its requester sees it before anything is paid: what it is, and what data are read with. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BaseFacts, readBaseFacts } from '../blobs/base-facts';
import { findBase } from '../blobs/base-source';
import { BlobStore } from '../blobs/blob-store';
import { openReadPass } from '../blobs/read-pass';
import { isWeights } from '../domain/base-files';
import { NO_JOB } from '../protocol/storage';
import type { Account } from './account';
import { blobReaderOf } from './blob-reader';
import { makeDataDir } from './data-dir';
import { hubOf } from './hub-place';
import { placesOf } from './places';

/** A base that a job could start from. */
export interface LookedAtBase extends AsyncDisposable {
  readonly facts: BaseFacts;
  /** As it was named; of a hub at the commit that it means now. */
  readonly reference: string;
  /** A directory with its files, but for the weights. */
  readonly path: string;
}

/**
 * Looks at a base as a node would before it fetches the whole: configuration, tokenizer, and the heads of the
 * weights. Throws `base/…` for one that no node would take; disposing of it removes what was fetched.
 */
export async function lookAtBase(
  reference: string,
  { config, dataDir, wallet }: Pick<Account, 'config' | 'dataDir' | 'wallet'>,
  options: { storage?: string | undefined },
  signal: AbortSignal,
): Promise<LookedAtBase> {
  const places = { ...placesOf(config, options), hub: hubOf(config), maxBytes: Number.MAX_SAFE_INTEGER };
  const lists = new BlobStore(join(dataDir, 'transfers'));
  const pass = openReadPass(NO_JOB, blobReaderOf(wallet));
  await makeDataDir(dataDir);
  const found = await findBase(reference, places, { signal, pass, lists });
  const facts = await readBaseFacts(found);
  await mkdir(lists.dir, { recursive: true });
  const path = await mkdtemp(join(lists.dir, 'base-'));
  const remove = () => rm(path, { recursive: true, force: true });
  try {
    for (const { name, bytes } of found.files) {
      if (!isWeights(name)) await writeFile(join(path, name), await found.read(name, 0, bytes));
    }
    return { facts, reference: found.base, path, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
