/** What a requester, or any account that runs no role, may set. */
import { z } from 'zod';
import { atMostOneKey, ChainKeys, KeyKeys, LogKeys } from '../setting-groups';
import { httpUrl } from '../setting-types';

export const ClientConfig = z
  .strictObject({
    ...ChainKeys,
    ...KeyKeys,
    storageApi: httpUrl.optional().describe('Storage to which data sets are uploaded and from which results come.'),
    ...LogKeys,
  })
  .superRefine(atMostOneKey);
export type ClientConfig = z.infer<typeof ClientConfig>;
