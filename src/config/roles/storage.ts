/** What the operator of a storage may set. */
import { z } from 'zod';
import { Address } from '../../domain/ids';
import {
  AllowPrivateStorages,
  atMostOneKey,
  ChainKeys,
  ExternalDb,
  KeyKeys,
  Listen,
  LogKeys,
  SpaceKeys,
  TrustProxy,
} from '../setting-groups';
import { httpUrl } from '../setting-types';

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
      .default(2 ** 30)
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
    readers: z
      .array(Address)
      .max(64)
      .default([])
      .describe('Accounts that may read every blob here, such as those of storages that copy from this one.'),
    external_db: ExternalDb.optional().describe(
      'MySQL or MariaDB for the index. Several storages over one back end share it. Default: a SQLite file in the data directory.',
    ),
    ...LogKeys,
  })
  .superRefine(atMostOneKey);
export type StorageConfig = z.infer<typeof StorageConfig>;
