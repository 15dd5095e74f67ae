/** The evidence of a rejection: kept here in any case, and uploaded where the storage takes it. */
import { readFile } from 'node:fs/promises';
import { keepEvidence } from '../../../src/app/evidence-files';
import { BlobStore } from '../../../src/blobs/blob-store';
import { JobId } from '../../../src/domain/ids';
import { AppError } from '../../../src/lib/errors';
import { sha256 } from '../../../src/lib/hash';
import { silentLogger as logger } from '../../../src/lib/logger';
import { openScratch } from '../../support/scratch';

const jobId = JobId.parse(`0x${'0e'.repeat(16)}`);
const evidence = '{"code":"verdict/fold"}';

/** Keeps evidence with a storage that refuses it or not; returns what was uploaded and what lies here. */
async function keep(refuse: boolean) {
  await using scratch = await openScratch();
  const uploaded: string[] = [];
  await keepEvidence(jobId, evidence, {
    dataDir: scratch.path,
    blobs: new BlobStore(scratch.file('blobs')),
    async publish(names) {
      if (refuse) throw new AppError({ code: 'blobs/storage-refused', status: 403 }, 'Not allowed.');
      uploaded.push(...names);
    },
    logger,
    signal: new AbortController().signal,
  });
  return { uploaded, here: await readFile(scratch.file(`evidence/${jobId}.json`), 'utf8') };
}

test('storage takes it: there under its hash, and here', async () => {
  expect(await keep(false)).toEqual({ uploaded: [sha256(evidence)], here: evidence });
});

test('storage refuses it: here, and the rejection goes on', async () => {
  expect(await keep(true)).toEqual({ uploaded: [], here: evidence });
});
