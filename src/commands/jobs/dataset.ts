/** The data set of a request: a file to upload, or a reference that nodes resolve themselves. */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { AppError } from '../../lib/errors';
import { sha256File } from '../../lib/hash';
import { requireText } from '../../terminal/text-file';

export type DatasetArgumentError =
  | { code: 'usage/bad-dataset'; dataset: string }
  | { code: 'usage/no-size'; dataset: string };

/** A data set as named on the command line. */
export interface LocatedDataset {
  /** The reference in the request. */
  reference: string;
  /** The file to upload; undefined for a reference that nodes resolve themselves. */
  file?: string | undefined;
  /** Returns its size. Throws `usage/no-size` when that cannot be found out. */
  bytes(): Promise<number>;
}

const REFERENCE = /^(sha256:[0-9a-f]{64}|https:\/\/\S+|file:\S+)$/;

/**
 * Finds a data set: a local file, or a reference whose size `sizeOf` returns (0 when its server does not
 * say). Throws `usage/unreadable-file`, and `usage/bad-dataset` for what is neither or is not text.
 */
export async function locateDataset(
  dataset: string,
  sizeOf: (reference: string) => Promise<number>,
): Promise<LocatedDataset> {
  if (REFERENCE.test(dataset)) return { reference: dataset, bytes: () => knownSize(dataset, sizeOf) };
  if (!existsSync(dataset)) {
    throw new AppError<DatasetArgumentError>(
      { code: 'usage/bad-dataset', dataset },
      `The data set ${dataset} is neither a file nor a reference (sha256:<64 hex digits>, https://…, file:…).`,
    );
  }
  await requireText('--dataset', dataset);
  const { size } = await stat(dataset);
  return { reference: `sha256:${await sha256File(dataset)}`, file: dataset, bytes: async () => size };
}

async function knownSize(reference: string, sizeOf: (reference: string) => Promise<number>): Promise<number> {
  const bytes = await sizeOf(reference);
  if (bytes > 0) return bytes;
  throw new AppError<DatasetArgumentError>(
    { code: 'usage/no-size', dataset: reference },
    `The size of ${reference} cannot be found out; name with --fuel-limit how many tokens the fee pays for.`,
  );
}
