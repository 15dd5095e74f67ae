/**
 * Where the blobs of submitted jobs are read from: the storages of the configuration, and those that the job
 * names.
 */
import { type BlobPlaces, type BlobSource, openSource } from '../blobs/located-blobs';
import { parseBlobReference } from '../domain/blob-reference';
import type { JobId } from '../domain/ids';
import type { SubmittedJob } from '../verifier/manifest-checks';

export type JobSources = (job: Pick<SubmittedJob, 'jobId' | 'dataset' | 'locations'>) => BlobSource;

/** Remembers the source of the latest job, and with it which of its storages answer. */
export function jobSources(places: BlobPlaces): JobSources {
  let latest: { jobId: JobId; source: BlobSource } | undefined;
  return ({ jobId, dataset, locations }) => {
    if (latest?.jobId === jobId) return latest.source;
    const named = parseBlobReference(dataset)?.locations ?? [];
    latest = { jobId, source: openSource(places, [...new Set([...locations, ...named])]) };
    return latest.source;
  };
}
