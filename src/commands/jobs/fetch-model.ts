/** Fetches the files of a trained model, all or none. */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../lib/errors';
import type { Manifest } from '../../protocol/manifest';

/** What fetching a model needs of a storage. */
export interface ModelSource {
  /** Writes a checked blob to a file. */
  fetchTo(sha256: string, path: string, label: string): Promise<void>;
}

/**
 * Fetches a manifest's model into a new directory, which appears only once every file is there and checked.
 * Throws `files/exists` before it fetches anything.
 */
export async function fetchModel(
  manifest: Pick<Manifest, 'model'>,
  directory: string,
  source: ModelSource,
): Promise<void> {
  if (existsSync(directory)) {
    throw new AppError(
      { code: 'files/exists', path: directory },
      `${directory} exists already and is left as it is; name another directory with --out.`,
    );
  }
  const arriving = `${directory}.part`;
  await mkdir(arriving, { recursive: true });
  try {
    for (const { name, sha256 } of manifest.model) await source.fetchTo(sha256, join(arriving, name), name);
    await rename(arriving, directory);
  } finally {
    await rm(arriving, { recursive: true, force: true });
  }
}
