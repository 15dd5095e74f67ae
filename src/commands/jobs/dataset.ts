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
  /** What the request says. */
  reference: string;
  /** The file to upload; undefined for a reference that nodes resolve themselves. */
  file?: string | undefined;
  /** Its size. Throws `usage/no-size` when that cannot be known. */
  bytes(): Promise<number>;
}

const REFERENCE = /^(sha256:[0-9a-f]{64}|https:\/\/\S+|file:\S+)$/;

/**
 * Finds a data set: a file of ours, or a reference whose size `sizeOf` knows (0: its server does not say).
 * Throws `usage/bad-dataset` for what is neither, or no text, and `usage/unreadable-file`.
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
    `The size of ${reference} cannot be found out; say with --fuel-limit how many tokens the fee is for.`,
  );
}
