/** The bases of a test's worker, with more room than a test can fill. */
import { join } from 'node:path';
import { BaseCache } from '../../src/blobs/base-cache';
import type { BlobStore } from '../../src/blobs/blob-store';

export function openTestBases(dataDir: string, blobs: BlobStore, maxBytes = 2 ** 40): BaseCache {
  return new BaseCache({ root: join(dataDir, 'bases'), maxBytes, blobs, freeBytes: async () => 2 ** 40 });
}
