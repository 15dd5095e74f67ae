/** Where a storage's blobs lie: in files of its data directory, or in a bucket. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobStore } from '../blobs/blob-store';
import { openBucket } from '../blobs/bucket';
import { S3Blobs } from '../blobs/s3-blobs';
import { LASTING_S3_ERRORS } from '../blobs/s3-errors';
import type { StoredBlobs } from '../blobs/stored-blobs';
import type { StorageConfig } from '../config/roles/storage';
import { assertPrivate } from '../config/secrets';
import { errorCode } from '../lib/errors';
import { sha256 } from '../lib/hash';
import type { Logger } from '../lib/logger';

type S3Settings = NonNullable<StorageConfig['s3']>;

export interface StorageBlobs extends AsyncDisposable {
  readonly blobs: StoredBlobs;
  /** What names the bucket in an index that several storages may share; undefined for files. */
  readonly bucketPlace?: string;
  /** Throws `s3/…` unless the bucket answers; undefined for files. */
  readonly checkBucket?: () => Promise<void>;
}

const HOUR_MS = 3600_000;

/**
 * Opens the blobs of the configuration. Throws `s3/…` where somebody must change it, or the bucket; a service
 * that does not answer yet is only warned of.
 */
export async function openStorageBlobs(
  config: Pick<StorageConfig, 's3' | 'space'>,
  dataDir: string,
  logger: Logger,
): Promise<StorageBlobs> {
  if (config.s3) return openInBucket(config.s3, config.space.unfinishedHours * HOUR_MS, logger);
  return { blobs: new BlobStore(join(dataDir, 'blobs')), async [Symbol.asyncDispose]() {} };
}

async function openInBucket(s3: S3Settings, unfinishedMs: number, logger: Logger): Promise<StorageBlobs> {
  const { endpoint, region, bucket: name, forcePathStyle = endpoint !== undefined, prefix } = s3;
  const bucket = await openBucket({
    endpoint,
    region,
    bucket: name,
    forcePathStyle,
    credentials: await readCredentials(s3),
  });
  try {
    await bucket.check();
  } catch (error) {
    if (LASTING_S3_ERRORS.includes(errorCode(error))) throw error;
    logger.warn('The bucket cannot be read yet', { bucket: name }, error);
  }
  const blobs = new S3Blobs(bucket, prefix);
  const sweep = () =>
    blobs
      .dropOldParts(Date.now() - unfinishedMs)
      .catch((error) => logger.warn('Old unfinished uploads stay in the bucket for now', { bucket: name }, error));
  void sweep();
  const sweeping = setInterval(sweep, HOUR_MS);
  return {
    blobs,
    bucketPlace: sha256([endpoint ?? region, name, prefix].join(' ')),
    checkBucket: () => bucket.check(),
    async [Symbol.asyncDispose]() {
      clearInterval(sweeping);
      await blobs[Symbol.asyncDispose]();
    },
  };
}

async function readCredentials({ accessKeyId, secretAccessKeyFile }: S3Settings) {
  if (accessKeyId === undefined || secretAccessKeyFile === undefined) return undefined;
  assertPrivate(secretAccessKeyFile, 'The secret of s3');
  return { accessKeyId, secretAccessKey: (await readFile(secretAccessKeyFile, 'utf8')).trim() };
}
