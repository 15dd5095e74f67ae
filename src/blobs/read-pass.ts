/** What a reader shows a storage to get the blobs of one job: its signature, or only which job it means. */
import type { Address, JobId } from '../domain/ids';
import { NO_JOB } from '../protocol/storage';

/** Signs the permission to read a job's blobs; see `protocol/storage.ts`. */
export type SignRead = (read: { reader: Address; jobId: JobId; expiresAtMs: number }) => Promise<string>;

/** For whom blobs are read. */
export interface JobReader {
  address: Address;
  sign: SignRead;
}

/** One for each job; thousands of blobs are read with one signature. */
export interface ReadPass {
  /** False where only what everybody may read can be had. */
  readonly isSigned: boolean;
  /**
   * Whether it opens blobs of one job alone. A storage that one of the job's parties names may see such a
   * pass: it opens nothing that the party could not read itself.
   */
  readonly isOfJob: boolean;
  /** Behind the address of a blob. */
  readonly query: string;
  headers(): Promise<Record<string, string>>;
}

/** Short, because a storage that is not the right one could show the signature to another. */
const SIGNATURE_MS = 3600_000;

/** Opens the pass of a reader for one job; without a reader it opens only what everybody may read. */
export function openReadPass(jobId: JobId, reader: JobReader | undefined): ReadPass {
  if (!reader) return { isSigned: false, isOfJob: true, query: `?job=${jobId}`, headers: async () => ({}) };
  let expiresAtMs = 0;
  let signing = Promise.resolve('');
  return {
    isSigned: true,
    isOfJob: jobId !== NO_JOB,
    query: '',
    async headers() {
      if (expiresAtMs - Date.now() < SIGNATURE_MS / 2) {
        expiresAtMs = Date.now() + SIGNATURE_MS;
        signing = reader.sign({ reader: reader.address, jobId, expiresAtMs });
      }
      const until = expiresAtMs;
      return { authorization: `Emeth-Read ${reader.address} ${jobId} ${until} ${await signing}` };
    },
  };
}
