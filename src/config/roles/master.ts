/** What the operator of a master may set. */
import { z } from 'zod';
import { DEFAULT_BATCH, DEFAULT_EPOCHS } from '../../domain/job-fit';
import {
  AllowPrivateStorages,
  ChainKeys,
  ComputeKeys,
  ExternalDb,
  HubKeys,
  KeyKeys,
  Listen,
  LogKeys,
  MetricsWhitelist,
  oneKey,
  publicStorageApi,
  ReaderAccounts,
  SendKeys,
  SpaceKeys,
  storages,
  TrustProxy,
} from '../setting-groups';
import { allowList, httpUrl, milliseconds, wei } from '../setting-types';

const Round = z.strictObject({
  leaseMs: milliseconds
    .default(30_000)
    .describe(
      'Minimum milliseconds a worker gets for its part of a round. It gets twice the time it needs by its measured speed, if that is more.',
    ),
  graceMs: milliseconds
    .default(10_000)
    .describe('Milliseconds to wait for the rest of a round once two thirds of its work are in.'),
  resumeMs: milliseconds
    .default(3_000)
    .describe('Milliseconds a disconnected worker has to reconnect once all others have finished.'),
});

export const MasterConfig = z
  .strictObject({
    ...ChainKeys,
    ...KeyKeys,
    ...SendKeys,
    my_url: httpUrl.meta({
      description: 'Address at which workers, requesters and verifiers reach this master.',
      examples: ['http://127.0.0.1:3000'],
    }),
    listen: Listen.prefault({}).describe('What to listen on, where it differs from my_url (behind a proxy).'),
    trustProxy: TrustProxy,
    storageApi: storages
      .optional()
      .describe(
        'Storage that holds data sets and results, or a list: results are published to all. Default: this master’s own.',
      ),
    publicStorageApi: publicStorageApi('the storages of storageApi, and this master’s own'),
    allowPrivateStorages: AllowPrivateStorages,
    ...HubKeys,
    min_fee: wei('10000000000000000000', 'Jobs that pay less are not taken'),
    max_fee: wei('30000000000000000000', 'Jobs that pay more are not taken'),
    commission: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe('Part of the pay the master keeps, 0 to 1. The rest goes to the workers by tokens trained.'),
    cooperative: z
      .enum(['1v1', 'nvm'])
      .default('nvm')
      .describe('`1v1`: one worker per job. `nvm`: as many workers per job as its deadline needs.'),
    maxJobs: z.int().min(1).max(64).default(2).describe('Maximum number of jobs at the same time.'),
    batchSize: z
      .int()
      .min(1)
      .max(4096)
      .default(DEFAULT_BATCH)
      .describe('Sequences per step for jobs that do not specify it.'),
    n_epochs: z
      .number()
      .positive()
      .max(1000)
      .default(DEFAULT_EPOCHS)
      .describe('Passes over the data for jobs that do not specify it.'),
    ...ComputeKeys,
    probes: z
      .boolean()
      .default(true)
      .describe(
        'Measure the speed of idle workers with a short piece of made-up training instead of believing what they announce.',
      ),
    worker_whitelist: allowList(['*'], 'Who may connect as a worker.'),
    jsonrpc_whitelist: allowList(['127.0.0.1', '::1'], 'Who may use the admin API.'),
    metrics_whitelist: MetricsWhitelist,
    readers: ReaderAccounts,
    external_db: ExternalDb.optional().describe(
      'MySQL or MariaDB for the queue. Default: a SQLite file in the data directory.',
    ),
    board_url: httpUrl
      .optional()
      .describe(
        'Address of a board: a fresh master finds the open jobs there, and `emeth joblist --board` lists them. The jobs themselves are always read from the chain.',
      ),
    heartbeatMs: z
      .int()
      .min(100)
      .max(600_000)
      .default(10_000)
      .describe('Milliseconds between heartbeats of a worker. After three missed ones it counts as disconnected.'),
    round: Round.prefault({}).describe('How long a round waits for its workers.'),
    maxDatasetBytes: z
      .int()
      .min(1)
      .default(2 ** 30)
      .describe('Largest data set accepted, in bytes.'),
    maxBaseBytes: z
      .int()
      .min(1)
      .default(16 * 2 ** 30)
      .describe('Largest base model that a job may start from, in bytes of all its files.'),
    evidenceBytes: z
      .int()
      .min(0)
      .default(20 * 10 ** 9)
      .describe(
        'Bytes of evidence (updates and weights of every round) kept so that anybody can repeat a job. Above it the oldest jobs with a final verdict go first; then a job that trains keeps the weights of every eighth round only, and says so in its manifest.',
      ),
    allowFiles: z
      .boolean()
      .default(false)
      .describe(
        'Accept file: data sets, which are files of this machine. Anybody may then have any text file that this master can read trained.',
      ),
    maxUploadBytes: z
      .int()
      .min(1)
      .default(16 * 2 ** 30)
      .describe('Largest upload the storage API accepts, in bytes.'),
    ...SpaceKeys,
    ...LogKeys,
  })
  .superRefine(oneKey)
  .refine((config) => config.min_fee <= config.max_fee, { path: ['min_fee'], error: 'must not be above max_fee' });
export type MasterConfig = z.infer<typeof MasterConfig>;
