/** What a requester, or any account that runs no role, may set. */
import { z } from 'zod';
import {
  AllowPrivateStorages,
  atMostOneKey,
  ChainKeys,
  HubKeys,
  KeyKeys,
  LogKeys,
  publicStorageApi,
  SendKeys,
  storages,
} from '../setting-groups';

export const ClientConfig = z
  .strictObject({
    ...ChainKeys,
    ...KeyKeys,
    ...SendKeys,
    storageApi: storages
      .optional()
      .describe(
        'Storage to which data sets are uploaded and from which results come, or a list: data are uploaded to all, and read from the first that has them.',
      ),
    publicStorageApi: publicStorageApi('the storages of storageApi'),
    allowPrivateStorages: AllowPrivateStorages,
    ...HubKeys,
    ...LogKeys,
  })
  .superRefine(atMostOneKey);
export type ClientConfig = z.infer<typeof ClientConfig>;
