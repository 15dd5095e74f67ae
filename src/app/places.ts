/** Where a role reads blobs, and what its own references name. */
import { isPublicUrl } from '../blobs/https-download';
import type { BlobPlaces } from '../blobs/located-blobs';
import { toLocation } from '../domain/blob-reference';
import { AppError } from '../lib/errors';

interface StorageSettings {
  readonly storageApi?: readonly string[] | undefined;
  readonly publicStorageApi?: readonly string[] | undefined;
  readonly allowPrivateStorages: boolean;
}

export type PlacesError = { code: 'config/no-storage' };

/** Returns where blobs are read from; `--storage` takes the place of the configured storages. */
export function placesOf(config: StorageSettings, options: { storage?: string | undefined } = {}): BlobPlaces {
  const storages = options.storage === undefined ? (config.storageApi ?? []) : [options.storage];
  return { storages, allowPrivate: config.allowPrivateStorages };
}

/** Returns the storages of these places. Throws `config/no-storage` where there are none. */
export function requireStorages({ storages }: Pick<BlobPlaces, 'storages'>): readonly string[] {
  if (storages.length > 0) return storages;
  const sentence = 'No storage is configured; set storageApi in the configuration or name one with --storage.';
  throw new AppError<PlacesError>({ code: 'config/no-storage' }, sentence);
}

/**
 * Returns how others reach these storages, for references: as configured, or else those of them that anybody
 * could reach. An address of this network in a reference helps nobody, and tells strangers about it.
 */
export function namedLocations(config: StorageSettings, storages: readonly string[]): string[] {
  const locations = (config.publicStorageApi ?? storages).flatMap((storage) => toLocation(storage) ?? []);
  if (config.publicStorageApi || config.allowPrivateStorages) return locations;
  return locations.filter(isPublicUrl);
}
