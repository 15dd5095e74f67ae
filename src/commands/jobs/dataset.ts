/** The data set of a request: a file or pipe to upload, or a reference; its bytes are here to be checked. */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { AppError, errorCode } from '../../lib/errors';
import { sha256File } from '../../lib/hash';
import { requireData } from '../../terminal/data-file';
import { type HeldFile, holdFile } from '../../terminal/spool';

export type DatasetArgumentError = { code: 'usage/bad-dataset'; dataset: string };

/** A data set as named on the command line, which may be one by its bytes. */
export interface LocatedDataset extends AsyncDisposable {
  /** The reference in the request. */
  readonly reference: string;
  /** The file with its bytes, on this machine. */
  readonly path: string;
  readonly bytes: number;
  /** Whether it comes to more bytes of text than it has. */
  readonly isPacked: boolean;
  /** False for a reference that nodes resolve themselves. */
  readonly isUploaded: boolean;
}

const REFERENCE = /^(sha256:[0-9a-f]{64}(@\S+)?|https:\/\/\S+|file:\S+)$/;

/**
 * Finds a data set: a local file, a pipe, or a reference, which `fetch` brings here as a node would. Throws
 * `usage/unreadable-file`, and `usage/bad-dataset` for what is neither, cannot be fetched, or is no data.
 */
export async function locateDataset(
  dataset: string,
  fetch: (reference: string) => Promise<HeldFile>,
  signal?: AbortSignal,
): Promise<LocatedDataset> {
  const isReference = REFERENCE.test(dataset);
  if (!isReference && dataset !== '-' && !existsSync(dataset)) {
    const forms = 'sha256:<64 hex digits>[@<storage>,…], https://…, file:…';
    throw bad(dataset, `The data set ${dataset} is neither a file nor a reference (${forms}).`);
  }
  const held = isReference ? await fetchReference(dataset, fetch) : await holdFile('--dataset', dataset, signal);
  try {
    const { isPacked } = await requireData('--dataset', held.path, dataset);
    return {
      isPacked,
      reference: isReference ? dataset : `sha256:${await sha256File(held.path)}`,
      path: held.path,
      bytes: (await stat(held.path)).size,
      isUploaded: !isReference,
      [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
    };
  } catch (error) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

/** A reference that cannot be fetched here would not be taken by any node, and lock its fee for nothing. */
async function fetchReference(reference: string, fetch: (reference: string) => Promise<HeldFile>): Promise<HeldFile> {
  try {
    return await fetch(reference);
  } catch (error) {
    if (!errorCode(error).startsWith('dataset/')) throw error;
    throw bad(reference, error instanceof Error ? error.message : String(error), error);
  }
}

function bad(dataset: string, sentence: string, cause?: unknown): AppError<DatasetArgumentError> {
  return new AppError({ code: 'usage/bad-dataset', dataset }, sentence, { cause });
}
