/** What a verifier may set. */
import { z } from 'zod';
import {
  AllowPrivateStorages,
  BaseCacheKeys,
  ChainKeys,
  ComputeKeys,
  HubKeys,
  KeyKeys,
  LogKeys,
  oneKey,
  SendKeys,
  storages,
} from '../setting-groups';
import { milliseconds } from '../setting-types';

export const VerifierConfig = z
  .strictObject({
    ...ChainKeys,
    ...KeyKeys,
    ...SendKeys,
    storageApi: storages.describe(
      'Storage to fetch data sets and results from, or a list: those that references name are asked as well. Verifiers of one quorum must have one in common.',
    ),
    allowPrivateStorages: AllowPrivateStorages,
    ...HubKeys,
    ...ComputeKeys,
    tolerance: z
      .number()
      .positive()
      .max(10)
      .default(0.01)
      .describe('Largest accepted difference between the claimed loss and that of the verifier, in nats per token.'),
    evidenceMs: milliseconds
      .default(30 * 60_000)
      .describe(
        'Milliseconds for which data or evidence that the storage does not have is looked for, at most half of the window for a verdict; then the result is rejected.',
      ),
    maxDatasetBytes: z
      .int()
      .min(1)
      .default(2 ** 30)
      .describe('Largest data set fetched, in bytes.'),
    ...BaseCacheKeys,
    ...LogKeys,
  })
  .superRefine(oneKey);
export type VerifierConfig = z.infer<typeof VerifierConfig>;
