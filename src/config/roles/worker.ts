/** What the owner of a GPU may set. */
import { z } from 'zod';
import { Address } from '../../domain/ids';
import { atMostOneKey, BaseCacheKeys, ChainKeys, ComputeKeys, KeyKeys, LogKeys } from '../setting-groups';
import { httpUrl, milliseconds, port } from '../setting-types';

const Timeout = z.strictObject({
  wait_data: milliseconds.default(300_000).describe('Waiting for the data of a lease.'),
  idle: milliseconds.default(600_000).describe('Python process without work; it is then stopped to free memory.'),
  learning: milliseconds.default(60_000).describe('Training without any progress.'),
  checkpoint: milliseconds.default(1_200_000).describe('Waiting for the master’s answer to a finished round.'),
  team: milliseconds
    .min(1000)
    .default(600_000)
    .describe('Processes of several GPUs or boxes waiting for each other; a job is then started anew.'),
});

const Team = z
  .strictObject({
    boxes: z.int().min(2).max(64).describe('How many boxes train together as one worker; all should be alike.'),
    rank: z
      .int()
      .min(0)
      .max(63)
      .default(0)
      .describe('Which of them this is. Box 0 is the worker that masters see; the others only compute.'),
    rendezvous: z
      .string()
      .regex(/^(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}$/, { error: 'must be host:port', abort: true })
      .refine((text) => port.safeParse(Number(text.split(':').at(-1))).success, 'must have a port from 1 to 65535')
      .meta({
        description:
          'Address of box 0 on the network between the boxes, and a free port there. It must be out of everybody else’s reach.',
        examples: ['10.0.0.1:29400'],
      }),
  })
  .refine(({ boxes, rank }) => rank < boxes, { path: ['rank'], error: 'must be below boxes' });

export const WorkerConfig = z
  .strictObject({
    master_node_url: httpUrl.meta({
      description: 'Address of the master to work for.',
      examples: ['http://127.0.0.1:3000'],
    }),
    masterAddress: Address.optional().describe(
      'The master’s account. If set, a master that cannot prove it is refused.',
    ),
    ...KeyKeys,
    privateKey: KeyKeys.privateKey.describe(
      'The account’s private key. Without any key, an account is made at the first start and kept in the data directory.',
    ),
    my_url: httpUrl.optional().describe('Accepted for older configurations; workers dial out and need no address.'),
    ...ComputeKeys,
    powerCapacity: z
      .number()
      .positive()
      .optional()
      .describe('Speed to announce, in GFLOP/s. Default: measured at start.'),
    microBatch: z
      .int()
      .min(1)
      .max(4096)
      .default(8)
      .describe('Sequences computed at once. Smaller needs less memory; larger is faster on GPUs.'),
    team: Team.optional().describe('Several boxes of one owner as one worker: docs/several-gpus.md.'),
    ...BaseCacheKeys,
    timeout: Timeout.prefault({}).describe('Milliseconds after which a phase counts as stuck.'),
    ...optionalKeys(ChainKeys),
    ...LogKeys,
  })
  .superRefine(atMostOneKey);
export type WorkerConfig = z.infer<typeof WorkerConfig>;

/** The chain's settings, optional: a worker needs a chain only to withdraw. */
function optionalKeys(keys: typeof ChainKeys) {
  const { endpoint, emethContractAddress, tokenContractAddress, ...rest } = keys;
  const note = (text: string) => `${text} Needed for \`emeth withdraw\` only.`;
  return {
    endpoint: endpoint.optional().describe(note('JSON-RPC address of an Ethereum node, or a list of several.')),
    emethContractAddress: emethContractAddress.optional().describe(note('Address of the EmethCore contract.')),
    tokenContractAddress: tokenContractAddress.optional().describe(note('Address of the EMT token contract.')),
    ...rest,
  };
}
