/**
 * Where the blobs of submitted jobs are read from: the storages of the configuration, and those that the job
 * names.
 */
import { type BlobPlaces, type BlobSource, openSource } from '../blobs/located-blobs';
import { type JobReader, openReadPass, type ReadPass } from '../blobs/read-pass';
import { parseBlobReference } from '../domain/blob-reference';
import type { JobId } from '../domain/ids';
import { requestedBase } from '../storage/named-blobs';
import type { SubmittedJob } from '../verifier/manifest-checks';

export type JobSources = (job: Pick<SubmittedJob, 'jobId' | 'dataset' | 'params' | 'locations'>) => BlobSource;

/**
 * Remembers the source of the latest job, and with it which of its storages answer. All are read as
 * `reader`.
 */
export function jobSources(places: BlobPlaces, reader: JobReader | undefined): JobSources {
  let latest: { jobId: JobId; source: BlobSource } | undefined;
  return ({ jobId, dataset, params, locations }) => {
    if (latest?.jobId === jobId) return latest.source;
    const named = [parseBlobReference(dataset), requestedBase(params)].flatMap((one) => one?.locations ?? []);
    const all = openSource(places, [...new Set([...locations, ...named])]);
    latest = { jobId, source: readAs(openReadPass(jobId, reader), all) };
    return latest.source;
  };
}

function readAs(pass: ReadPass, source: BlobSource): BlobSource {
  return {
    size: (sha256, signal) => source.size(sha256, signal),
    download: (sha256, into, maxBytes, options) => source.download(sha256, into, maxBytes, { ...options, pass }),
  };
}
