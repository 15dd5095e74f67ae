/** What the operator of a board may set. */
import { z } from 'zod';
import { AllowPrivateStorages, ChainKeys, ExternalDb, Listen, LogKeys, storages, TrustProxy } from '../setting-groups';
import { httpUrl } from '../setting-types';

export const BoardConfig = z.strictObject({
  ...ChainKeys,
  my_url: httpUrl
    .default('http://127.0.0.1:3080')
    .describe('Address at which everybody reaches this board. It listens on its port.'),
  listen: Listen.prefault({}).describe('What to listen on, where it differs from my_url (behind a proxy).'),
  trustProxy: TrustProxy,
  storageApi: storages
    .optional()
    .describe(
      'Storage to ask for the size of data sets, or a list. Default: only those that references name are asked.',
    ),
  allowPrivateStorages: AllowPrivateStorages,
  external_db: ExternalDb.optional().describe(
    'MySQL or MariaDB for the index. Default: a SQLite file in the data directory.',
  ),
  ...LogKeys,
});
export type BoardConfig = z.infer<typeof BoardConfig>;
