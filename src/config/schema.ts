import { isValid, isValidCIDR } from 'ipaddr.js';
import { z } from 'zod';
import { Address, Wei } from '../domain/ids';

/*
 * The only source of what an operator may set: names, defaults, limits and their explanation. The example files in
 * config/, the reference page and the hints in error messages are made from it.
 */

const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// address' });
const milliseconds = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);
const port = z.int().min(1).max(65_535);
const wei = (amount: string, text: string) =>
  Wei.prefault(amount).describe(`${text}. Wei, as a string of digits in quotes.`);

const isAllowEntry = (entry: string) => entry === '*' || isValid(entry) || isValidCIDR(entry);
const AllowEntry = z.string().refine(isAllowEntry, { error: 'must be an IP address, a CIDR range or *' });
const allowList = (entries: string[], text: string) =>
  z
    .union([AllowEntry, z.array(AllowEntry)])
    .prefault(entries)
    .transform((value) => (typeof value === 'string' ? [value] : value))
    .describe(`${text} One address or a list; ranges such as 10.0.0.0/8 and * (everybody) are allowed.`);

const endpoints = z
  .union([httpUrl, z.array(httpUrl).min(1).max(16)])
  .meta({ examples: ['http://127.0.0.1:8545'] })
  .transform((value) => (typeof value !== 'string' && value.length === 1 ? (value[0] as string) : value));

const ChainKeys = {
  network: z
    .string()
    .regex(/^[\w-]{1,64}$/, 'must be a name of letters, digits, - and _')
    .optional()
    .meta({
      description:
        'Name of a deployment: networks/<name>.json beside this file, as `emeth deploy` writes it, gives the settings of the chain that stand empty here.',
      examples: ['local'],
    }),
  endpoint: endpoints.describe(
    'JSON-RPC address of an Ethereum node, or a list of several: the first is asked first, the others when it is in trouble.',
  ),
  // The examples are where a fresh development chain puts the first two contracts of its first account.
  emethContractAddress: Address.meta({
    description: 'Address of the EmethCore contract.',
    examples: ['0xe7f1725e7734ce288f8367e1bb143e90bb3f0512'],
  }),
  tokenContractAddress: Address.meta({
    description: 'Address of the EMT token contract.',
    examples: ['0x5fbdb2315678afecb367f032d93f642f64180aa3'],
  }),
  chainId: z
    .int()
    .min(1)
    .optional()
    .meta({
      description: 'Chain to insist on. If set, an endpoint of any other chain is refused at start.',
      examples: [31337],
    }),
  confirmations: z
    .int()
    .min(0)
    .max(1000)
    .optional()
    .describe(
      'Blocks on top of a block before we act on it. More is safer against reorganisations and slower; 0 says that there are none. Default: what the chain itself calls final, 2 where it does not say, 0 on a development chain (31337).',
    ),
  fromBlock: z
    .int()
    .min(0)
    .default(0)
    .describe('Block of the deployment: nothing of ours is older, so reading begins there.'),
  pollMs: milliseconds.default(4000).describe('Milliseconds between two looks at the chain.'),
};

const KeyKeys = {
  privateKey: z
    .string()
    .regex(/^(0x)?[0-9a-fA-F]{64}$/, 'must be 64 hex digits')
    .optional()
    .describe('The account’s private key itself. The file must then be readable by you alone (chmod 600).'),
  privateKeyFile: z
    .string()
    .min(1)
    .optional()
    .describe('File that holds the private key in hex, readable by you alone. Relative to this configuration file.'),
  keystore: z
    .string()
    .min(1)
    .optional()
    .describe('Encrypted key file (keystore v3), as `emeth new-account` writes it. Needs `passwordFile`.'),
  passwordFile: z.string().min(1).optional().describe('File with the keystore’s password, readable by you alone.'),
};

const ComputeKeys = {
  device: z
    .string()
    .regex(/^(cpu|cuda|cuda:\d+)$/, 'must be cpu, cuda or cuda:n')
    .default('cpu')
    .describe('Where PyTorch computes: `cpu`, `cuda:n` for GPU n, or `cuda` for all GPUs of this machine.'),
  python: z
    .string()
    .min(1)
    .optional()
    .describe('Python interpreter with PyTorch. Default: EMETH_PYTHON, then .venv/bin/python of this project.'),
  threads: z
    .int()
    .min(0)
    .max(1024)
    .default(0)
    .describe('CPU threads of the Python process. 0 shares the cores of this machine out among its processes.'),
};

const LogKeys = {
  logLevel: z.enum(['error', 'warn', 'info', 'debug']).default('info').describe('How much is logged.'),
};

const storageApi = httpUrl.optional();

const ExternalDb = z.strictObject({
  host: z.string().min(1).describe('Host name or address of the MySQL or MariaDB server.'),
  port: port.default(3306).describe('Its port.'),
  user: z.string().min(1).describe('User name.'),
  password: z.string().default('').describe('Password. The file must then be readable by you alone (chmod 600).'),
  database: z
    .string()
    .regex(/^[A-Za-z0-9_$-]{1,64}$/, 'must be a database name')
    .describe('Database to use. It must exist; `emeth db-init` creates our tables.'),
});

const Listen = z.strictObject({
  host: z
    .string()
    .min(1)
    .optional()
    .describe('Interface to listen on. Default: 127.0.0.1 when my_url names this machine only, else all.'),
  port: z.int().min(0).max(65_535).optional().describe('Port to listen on; 0 takes a free one. Default: my_url’s.'),
});

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
    storageApi: storageApi.describe('Storage that holds data sets and results. Default: this master’s own.'),
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

const Timeout = z.strictObject({
  wait_data: milliseconds.default(300_000).describe('Waiting for the data of a lease.'),
  idle: milliseconds.default(600_000).describe('Python process without work; it is then ended to free memory.'),
  learning: milliseconds.default(60_000).describe('Training without any progress.'),
  checkpoint: milliseconds.default(1_200_000).describe('Waiting for the master’s answer to a finished round.'),
});

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
      'The account’s private key. Without any key an account is made at the first start and kept in the data directory.',
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
      .describe('Sequences computed at once. Smaller needs less memory, larger is faster on GPUs.'),
    timeout: Timeout.prefault({}).describe('Milliseconds after which a phase counts as stuck.'),
    ...optionalKeys(ChainKeys),
    ...LogKeys,
  })
  .superRefine(atMostOneKey);
export type WorkerConfig = z.infer<typeof WorkerConfig>;

export const VerifierConfig = z
  .strictObject({
    ...ChainKeys,
    ...KeyKeys,
    storageApi: httpUrl.meta({
      description: 'Storage to fetch data sets and results from: that of the masters whose results are to be checked.',
      examples: ['http://127.0.0.1:3000/api/v1'],
    }),
    ...ComputeKeys,
    tolerance: z
      .number()
      .positive()
      .max(10)
      .default(0.01)
      .describe('Largest difference, in nats per token, between the claimed loss and ours that is still accepted.'),
    maxDatasetBytes: z
      .int()
      .min(1)
      .default(2 ** 30)
      .describe('Largest data set fetched, in bytes.'),
    ...LogKeys,
  })
  .superRefine(oneKey);
export type VerifierConfig = z.infer<typeof VerifierConfig>;

export const ClientConfig = z
  .strictObject({
    ...ChainKeys,
    ...KeyKeys,
    storageApi: storageApi.describe('Storage to which data sets are uploaded and from which results come.'),
    ...LogKeys,
  })
  .superRefine(atMostOneKey);
export type ClientConfig = z.infer<typeof ClientConfig>;

export const BoardConfig = z.strictObject({
  ...ChainKeys,
  my_url: httpUrl
    .default('http://127.0.0.1:3080')
    .describe('Address at which everybody reaches this board. Its port is listened on.'),
  listen: Listen.prefault({}).describe('What to listen on, where it differs from my_url (behind a proxy).'),
  storageApi: storageApi.describe('Storage to ask for the size of data sets. Default: such sizes are not shown.'),
  external_db: ExternalDb.optional().describe(
    'MySQL or MariaDB for the index. Default: a SQLite file in the data directory.',
  ),
  ...LogKeys,
});
export type BoardConfig = z.infer<typeof BoardConfig>;

export const roleSchemas = {
  master: MasterConfig,
  worker: WorkerConfig,
  verifier: VerifierConfig,
  client: ClientConfig,
  board: BoardConfig,
} as const;
export type Role = keyof typeof roleSchemas;
interface RoleConfigs {
  master: MasterConfig;
  worker: WorkerConfig;
  verifier: VerifierConfig;
  client: ClientConfig;
  board: BoardConfig;
}
export type RoleConfig<R extends Role> = RoleConfigs[R];

interface KeySettings {
  privateKey?: string | undefined;
  privateKeyFile?: string | undefined;
  keystore?: string | undefined;
  passwordFile?: string | undefined;
}

function oneKey(config: KeySettings, context: z.RefinementCtx): void {
  atMostOneKey(config, context);
  if (countKeys(config) === 0) {
    const message = 'is missing: set one of privateKeyFile, keystore (with passwordFile) or privateKey';
    context.addIssue({ code: 'custom', path: ['privateKeyFile'], message });
  }
}

function atMostOneKey(config: KeySettings, context: z.RefinementCtx): void {
  if (countKeys(config) > 1) {
    const message = 'only one of privateKey, privateKeyFile and keystore may be set';
    context.addIssue({ code: 'custom', path: ['privateKey'], message });
  }
  if (config.keystore !== undefined && config.passwordFile === undefined) {
    context.addIssue({ code: 'custom', path: ['passwordFile'], message: 'is needed to open the keystore' });
  }
}

function countKeys(config: KeySettings): number {
  return [config.privateKey, config.privateKeyFile, config.keystore].filter((key) => key !== undefined).length;
}

/** The chain's settings where a role can do without a chain: a worker needs one only to withdraw. */
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
