/** How large the bases of open jobs are, from their configuration and the heads of their weights alone. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { baseError } from '../blobs/base-errors';
import { type BaseFacts, readBaseFacts } from '../blobs/base-facts';
import { type BaseOptions, findBase } from '../blobs/base-source';
import { BlobStore } from '../blobs/blob-store';
import { openReadPass } from '../blobs/read-pass';
import type { Wallet } from '../chain/sending/wallet';
import { sizeOfBase } from '../domain/base-size';
import { BoundedMap } from '../lib/bounded-map';
import type { MasterStorage } from '../master/ports';
import { blobReaderOf } from './blob-reader';

export interface BaseSizesDeps {
  options: BaseOptions;
  /** Where lists pass through. */
  dir: string;
  wallet: Pick<Wallet, 'address' | 'signTyped'>;
  signal: AbortSignal;
  /** The longest that other jobs wait for an answer. */
  patienceMs?: number | undefined;
}

const PATIENCE_MS = 15_000;
/** Some MB each at most, as the shapes of all tensors are among what is known. */
const KNOWN_BASES = 32;

/** Returns what sizes bases; the facts of each are read once, and what is trained of it differs by job. */
export function openBaseSizes(deps: BaseSizesDeps): MasterStorage['sizeBase'] {
  const known = new BoundedMap<string, BaseFacts>(KNOWN_BASES);
  return async (job, params) => {
    const facts = known.get(params.base) ?? (await readFacts(job, params.base, deps));
    known.set(params.base, facts);
    return { ...sizeOfBase(facts, params), vocabSize: facts.vocabSize };
  };
}

async function readFacts(
  { id }: Parameters<MasterStorage['sizeBase']>[0],
  base: string,
  { options, dir, wallet, signal, patienceMs = PATIENCE_MS }: BaseSizesDeps,
): Promise<BaseFacts> {
  const timeout = AbortSignal.timeout(patienceMs);
  const lists = new BlobStore(join(dir, id));
  const pass = openReadPass(id, blobReaderOf(wallet));
  try {
    const found = await findBase(base, options, { signal: AbortSignal.any([signal, timeout]), pass, lists });
    return await readBaseFacts(found);
  } catch (error) {
    if (!timeout.aborted || signal.aborted) throw error;
    throw baseError('base/hub-away', base, `is not answered for within ${patienceMs / 1000} s.`, { cause: error });
  } finally {
    await rm(lists.dir, { recursive: true, force: true });
  }
}
