/** How a replay fetches: it waits for a storage that limits requests, and for nothing else. */
import { replayDeps } from '../../../src/app/replay-deps';
import { BlobStore } from '../../../src/blobs/blob-store';
import type { Sha256 } from '../../../src/domain/ids';
import { AppError } from '../../../src/lib/errors';
import { sha256 } from '../../../src/lib/hash';
import { silentLogger as logger } from '../../../src/lib/logger';
import { autoClock } from '../../support/auto-clock';

const name = sha256('an update') as Sha256;

/** Fetches from a storage that refuses the first requests with this status. */
async function fetchRefused(status: number, refusals: number) {
  let requests = 0;
  const storage = {
    async download() {
      requests += 1;
      if (requests > refusals) return { bytes: 7 };
      throw new AppError({ code: 'blobs/storage-refused', status }, `The storage answered ${status}.`);
    },
  };
  const clock = autoClock();
  const { signal } = new AbortController();
  const trainers = { open: () => Promise.reject(new Error('no child is needed')) as never };
  const { blobs } = replayDeps({ storage, blobs: new BlobStore('/nowhere'), trainers, clock, logger, signal });
  const outcome = await blobs.fetch(name, 10).catch((error: AppError) => error.code);
  return { outcome, requests };
}

test('storage limits requests for a minute: fetched then', async () => {
  expect(await fetchRefused(429, 4)).toEqual({ outcome: { bytes: 7 }, requests: 5 });
});

test('storage limits requests for good: given up', async () => {
  const { outcome, requests } = await fetchRefused(429, 1000);
  expect(outcome).toBe('blobs/storage-refused');
  expect(requests).toBeLessThan(20);
});

test('storage refuses for another reason: not asked again', async () => {
  expect(await fetchRefused(403, 1000)).toEqual({ outcome: 'blobs/storage-refused', requests: 1 });
});
