/** What the operator of a master may set. */
import { z } from 'zod';
import { ChainKeys, ComputeKeys, ExternalDb, KeyKeys, Listen, LogKeys, oneKey } from '../setting-groups';
import { allowList, httpUrl, milliseconds, wei } from '../setting-types';

const Round = z.strictObject({
  leaseMs: milliseconds.default(30_000).describe('Least milliseconds a worker gets for its part of a round.'),
  graceMs: milliseconds
    .default(10_000)
    .describe('Milliseconds the rest of a round is waited for once two thirds of its work are in.'),
  resumeMs: milliseconds
    .default(3_000)
    .describe('Milliseconds a worker that lost its connection has to come back when all others have finished.'),
});

export const MasterConfig = z
  .strictObject({
    ...ChainKeys,
    ...KeyKeys,
    my_url: httpUrl.meta({
      description: 'Address at which workers, requesters and verifiers reach this master.',
      examples: ['http://127.0.0.1:3000'],
    }),
    listen: Listen.prefault({}).describe('What to listen on, where it differs from my_url (behind a proxy).'),
    storageApi: httpUrl.optional().describe('Storage that holds data sets and results. Default: this master’s own.'),
    min_fee: wei('10000000000000000000', 'Jobs that pay less are left alone'),
    max_fee: wei('30000000000000000000', 'Jobs that pay more are left alone'),
    commission: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe('Part of the pay the master keeps, 0 to 1. The rest goes to the workers by tokens trained.'),
    cooperative: z
      .enum(['1v1', 'nvm'])
      .default('nvm')
      .describe('`1v1`: one worker to a job. `nvm`: as many workers to a job as its deadline needs.'),
    maxJobs: z.int().min(1).max(64).default(2).describe('Jobs worked on at the same time.'),
    batchSize: z.int().min(1).max(4096).default(8).describe('Sequences per step for jobs that do not say.'),
    n_epochs: z.number().positive().max(1000).default(1).describe('Passes over the data for jobs that do not say.'),
    ...ComputeKeys,
    worker_whitelist: allowList(['*'], 'Who may connect as a worker.'),
    jsonrpc_whitelist: allowList(['127.0.0.1', '::1'], 'Who may use the admin API.'),
    external_db: ExternalDb.optional().describe(
      'MySQL or MariaDB for the queue. Default: a SQLite file in the data directory.',
    ),
    board_url: httpUrl
      .optional()
      .describe(
        'Address of a board: a fresh master finds the open jobs there, and `emeth joblist --board` lists them. What a job says is only ever read from the chain.',
      ),
    heartbeatMs: z
      .int()
      .min(100)
      .max(600_000)
      .default(10_000)
      .describe('Milliseconds between signs of life of a worker. After three missed ones it counts as gone.'),
    round: Round.prefault({}).describe('How long a round waits for whom.'),
    maxDatasetBytes: z
      .int()
      .min(1)
      .default(2 ** 30)
      .describe('Largest data set taken, in bytes.'),
    allowFiles: z
      .boolean()
      .default(false)
      .describe('Take file: data sets, files of this machine. Anybody may then have any text file of ours trained.'),
    maxUploadBytes: z
      .int()
      .min(1)
      .default(2 ** 30)
      .describe('Largest upload the storage API takes, in bytes.'),
    ...LogKeys,
  })
  .superRefine(oneKey)
  .refine((config) => config.min_fee <= config.max_fee, { path: ['min_fee'], error: 'must not be above max_fee' });
export type MasterConfig = z.infer<typeof MasterConfig>;
