/** What the operator of a storage may set. */
import { z } from 'zod';
import {
  AllowPrivateStorages,
  atMostOneKey,
  ChainKeys,
  ExternalDb,
  KeyKeys,
  Listen,
  LogKeys,
  MetricsWhitelist,
  ReaderAccounts,
  SpaceKeys,
  TrustProxy,
} from '../setting-groups';
import { httpUrl } from '../setting-types';

/** A bucket of an S3 service. */
const S3 = z
  .strictObject({
    endpoint: httpUrl.optional().meta({
      description: 'Address of the S3 service. Default: Amazon’s own, of the region.',
      examples: ['https://s3.example.org'],
    }),
    region: z.string().min(1).default('us-east-1').describe('Region of the bucket.'),
    bucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket')
      .meta({ description: 'Name of the bucket. It must exist.', examples: ['emeth'] }),
    prefix: z
      .string()
      .regex(/^([\w.-]+\/)*$/, 'must be empty, or names that each end with /')
      .default('')
      .describe('Beginning of the names of all objects, such as "emeth/", where the bucket also holds other things.'),
    forcePathStyle: z
      .boolean()
      .optional()
      .describe('Name the bucket in the path of a request, not in its host. Default: true with an `endpoint`.'),
    accessKeyId: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Identifier of the key. Default: what the AWS_… variables, the files of the AWS tools, or the machine’s role say.',
      ),
    secretAccessKeyFile: z
      .string()
      .min(1)
      .optional()
      .describe('File with the secret of that key, readable by you alone. Relative to this configuration file.'),
  })
  .refine((s3) => (s3.accessKeyId === undefined) === (s3.secretAccessKeyFile === undefined), {
    path: ['secretAccessKeyFile'],
    error: 'goes with accessKeyId: set both or neither',
  });

export const StorageConfig = z
  .strictObject({
    ...ChainKeys,
    ...KeyKeys,
    my_url: httpUrl
      .default('http://127.0.0.1:3090')
      .describe('Address at which everybody reaches this storage. It listens on its port.'),
    listen: Listen.prefault({}).describe('What to listen on, where it differs from my_url (behind a proxy).'),
    trustProxy: TrustProxy,
    maxUploadBytes: z
      .int()
      .min(1)
      .default(16 * 2 ** 30)
      .describe('Largest upload accepted, in bytes.'),
    ...SpaceKeys,
    peers: z
      .array(httpUrl)
      .max(16)
      .default([])
      .describe(
        'Storages (such as https://storage.example.org/api/v1) from which the data sets of open jobs and the results of submitted ones are copied here.',
      ),
    allowPrivateStorages: AllowPrivateStorages,
    readers: ReaderAccounts,
    metrics_whitelist: MetricsWhitelist,
    s3: S3.optional().describe(
      'Bucket that holds the blobs; several storages may share one. Default: files in the data directory.',
    ),
    external_db: ExternalDb.optional().describe(
      'MySQL or MariaDB for the index. Several storages over one back end share it. Default: a SQLite file in the data directory.',
    ),
    ...LogKeys,
  })
  .superRefine(atMostOneKey);
export type StorageConfig = z.infer<typeof StorageConfig>;
