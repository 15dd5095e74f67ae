/** What a requester, or any account that runs no role, may set. */
import { z } from 'zod';
import { atMostOneKey, ChainKeys, KeyKeys, LogKeys, SendKeys } from '../setting-groups';
import { httpUrl } from '../setting-types';

export const ClientConfig = z
  .strictObject({
    ...ChainKeys,
    ...KeyKeys,
    ...SendKeys,
    storageApi: httpUrl.optional().describe('Storage to which data sets are uploaded and from which results come.'),
    ...LogKeys,
  })
  .superRefine(atMostOneKey);
export type ClientConfig = z.infer<typeof ClientConfig>;
