/** Settings that several roles share, with their defaults, limits and explanations. */
import { z } from 'zod';
import { MAX_LOCATIONS } from '../domain/blob-reference';
import { Address } from '../domain/ids';
import { allowList, gasPrice, httpUrl, milliseconds, port, rangeList } from './setting-types';

const endpoints = z
  .union([httpUrl, z.array(httpUrl).min(1).max(16)])
  .meta({ examples: ['http://127.0.0.1:8545'] })
  .transform((value) => (typeof value !== 'string' && value.length === 1 ? (value[0] as string) : value));

/** One storage API or several, as a list. */
export const storages = z
  .union([httpUrl, z.array(httpUrl).min(1).max(MAX_LOCATIONS)])
  .meta({ examples: ['http://127.0.0.1:3000/api/v1'] })
  .transform((value): readonly string[] => (typeof value === 'string' ? [value] : value));

/** Storages that others name. */
export const AllowPrivateStorages = z
  .boolean()
  .default(false)
  .describe(
    'Fetch also from storages that references name in private networks or on this machine, over plain http. Without it only public https addresses are asked; those of this configuration always are.',
  );

/** Other storages' accounts. */
export const ReaderAccounts = z
  .array(Address)
  .max(64)
  .default([])
  .describe(
    'Accounts that may read the blobs of every job here, as verifiers may: those of storages that copy from this one.',
  );

/** Who reads the figures. */
export const MetricsWhitelist = allowList(
  ['127.0.0.1', '::1'],
  'Who may read /metrics. Behind a proxy that trustProxy does not name, everybody has the address of the proxy.',
);

/** What this role's own references name. */
export const publicStorageApi = (text: string) =>
  storages
    .optional()
    .describe(
      `Addresses at which everybody reaches ${text}, written into references on chain: one or a list. Default: those of them that are public https addresses (any, with allowPrivateStorages).`,
    );

/** Where the chain and its contracts are, and how they are read. */
export const ChainKeys = {
  network: z
    .string()
    .regex(/^[\w-]{1,64}$/, 'must be a name of letters, digits, - and _')
    .optional()
    .meta({
      description:
        'Name of a deployment: networks/<name>.json beside this file, as `emeth deploy` writes it, gives the settings of the chain that are empty here.',
      examples: ['local'],
    }),
  endpoint: endpoints.describe(
    'JSON-RPC address of an Ethereum node, or a list of several: the first is preferred, the others stand in while it is unhealthy.',
  ),
  // The examples are the addresses of the first two contracts of a fresh development chain's first account.
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
      description: 'Required chain id. If set, an endpoint of any other chain is refused at start.',
      examples: [31337],
    }),
  confirmations: z
    .int()
    .min(0)
    .max(1000)
    .optional()
    .describe(
      'Chain blocks on top of a chain block before it is acted on. More is slower and safer against reorganisations; 0 is for chains without any. Default: what the chain itself calls final (waited for while its node names no block), 2 where it has no such notion, 0 on a development chain (31337).',
    ),
  fromBlock: z
    .int()
    .min(0)
    .default(0)
    .describe('Chain block of the deployment: no event is older, so reading begins there.'),
  pollMs: milliseconds.default(4000).describe('Milliseconds between two reads of the chain.'),
};

/** How an account's transactions are sent. */
export const SendKeys = {
  maxFeePerGas: gasPrice(
    '500gwei',
    'Highest price per gas that a transaction offers. While the chain asks for more, transactions wait, and the log says so.',
  ),
};

/** The account. Exactly or at most one of the three, see `oneKey` and `atMostOneKey`. */
export const KeyKeys = {
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

/** How much of the machine a Python child may take. */
const Limits = z.strictObject({
  memoryBytes: z
    .int()
    .min(2 ** 28)
    .optional()
    .describe(
      'Most memory of one Python process, in bytes; that of a GPU does not count. Default: all of this machine.',
    ),
  processes: z.int().min(64).default(8192).describe('Most processes and threads of one job’s Python, together.'),
});

/** What PyTorch computes with, and how it is shut in. */
export const ComputeKeys = {
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
    .describe('CPU threads of the Python process. 0 divides the cores of this machine among its processes.'),
  sandbox: z
    .enum(['require', 'auto', 'off'])
    .default('auto')
    .describe(
      'Walls around the Python process, which works on what strangers send. `auto`: the best that this machine offers; its log and `emeth doctor` say which. `require`: refuse to start without bubblewrap. `off`: none. EMETH_SANDBOX overrides it.',
    ),
  limits: Limits.prefault({}).describe('What a Python process may take of this machine, unless sandbox is off.'),
};

/** What a role keeps of the bases that it has fetched. */
export const BaseCacheKeys = {
  baseCacheBytes: z
    .int()
    .min(0)
    .default(64 * 2 ** 30)
    .describe(
      'Most bytes of base models that are kept for further jobs; the one used longest ago goes first. A job with a larger base is declined.',
    ),
};

/** Where `hf:` references lead. */
export const HubKeys = {
  hub: z
    .strictObject({
      endpoint: httpUrl.optional().meta({
        description:
          'Address of the model hub that `hf:` references of bases lead to; it may lie in a private network. Default: HF_ENDPOINT, then https://huggingface.co.',
        examples: ['https://huggingface.co'],
      }),
      tokenFile: z
        .string()
        .min(1)
        .optional()
        .describe(
          'File with a token of that hub, readable by you alone, for models whose licence an account has to accept. Private models are refused all the same. Default: HF_TOKEN. Relative to this configuration file.',
        ),
    })
    .prefault({})
    .describe('The model hub.'),
};

export const LogKeys = {
  logLevel: z.enum(['error', 'warn', 'info', 'debug']).default('info').describe('How much is logged.'),
};

/** A database server in place of SQLite. */
export const ExternalDb = z
  .strictObject({
    host: z.string().min(1).describe('Host name or address of the MySQL or MariaDB server.'),
    port: port.default(3306).describe('Its port.'),
    user: z.string().min(1).describe('User name.'),
    password: z.string().default('').describe('Password. The file must then be readable by you alone (chmod 600).'),
    database: z
      .string()
      .regex(/^[A-Za-z0-9_$-]{1,64}$/, 'must be a database name')
      .describe('Database to use. It must exist; `emeth db-init` creates the tables.'),
    tls: z
      .enum(['off', 'on', 'insecure'])
      .default('off')
      .describe(
        '`on`: the connection is encrypted, and the server’s certificate must be valid for `host`. `insecure`: encrypted, but anybody on the way may pose as the server. `off`: neither.',
      ),
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'PEM file of the authority that signed the server’s certificate. Default: those that Node.js knows. Relative to this configuration file.',
      ),
  })
  .refine(({ tls, caFile }) => caFile === undefined || tls === 'on', {
    path: ['caFile'],
    error: 'is only used with tls "on"',
  });

const Space = z.strictObject({
  bytesPerEmt: z
    .int()
    .min(0)
    .default(256 * 2 ** 20)
    .describe('Bytes that an account may store for each EMT in its tokens, its credit and the fees of its open jobs.'),
  bytesPerJob: z
    .int()
    .min(0)
    .default(20 * 10 ** 9)
    .describe(
      'Bytes that a node may store besides for each open job that it has taken, and a registered verifier in all: results, updates and evidence.',
    ),
  uploadsPerAccount: z.int().min(1).default(4).describe('Unfinished uploads of one account at the same time.'),
  uploads: z.int().min(1).default(64).describe('Unfinished uploads of all accounts at the same time.'),
  unfinishedHours: z.number().positive().default(6).describe('Hours after which an upload without news is removed.'),
  unusedDays: z.number().positive().default(7).describe('Days after which an upload is removed that no job has used.'),
  keptDays: z
    .number()
    .positive()
    .default(90)
    .describe(
      'Days for which data sets, results, updates and evidence are kept once no open job needs them. The contract’s window for claiming pay is 90 days by default.',
    ),
});

/** How much a storage takes of whom, and for how long. */
export const SpaceKeys = {
  minFreeBytes: z
    .int()
    .min(0)
    .default(10 ** 9)
    .describe('Bytes of its disk that stay free: below, uploads are refused and no job is taken.'),
  space: Space.prefault({}).describe('What accounts may store here, and for how long.'),
};

/** What an HTTP server listens on. */
export const Listen = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .optional()
      .describe('Interface to listen on. Default: 127.0.0.1 when my_url is an address of this machine only, else all.'),
    port: z.int().min(0).max(65_535).optional().describe('Port to listen on; 0 takes a free one. Default: my_url’s.'),
    certFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'PEM file with the server’s certificate and those above it: the server then speaks TLS itself. A renewed one is taken up within a minute. Relative to this configuration file.',
      ),
    keyFile: z.string().min(1).optional().describe('PEM file with the certificate’s key, readable by you alone.'),
    insecure: z
      .boolean()
      .default(false)
      .describe(
        'Serve plain HTTP although other machines reach it and neither TLS nor a proxy of trustProxy is in front: everybody on the way can then read and change what is sent.',
      ),
  })
  .refine(({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined), {
    path: ['keyFile'],
    error: 'certFile and keyFile belong together',
  });

/** The reverse proxies in front of an HTTP server. */
export const TrustProxy = rangeList(
  'Proxies whose X-Forwarded-For is believed: whitelists, limits and logs then go by the address of the client behind them. Default: none.',
);

interface KeySettings {
  privateKey?: string | undefined;
  privateKeyFile?: string | undefined;
  keystore?: string | undefined;
  passwordFile?: string | undefined;
}

/** Refuses a configuration unless it names exactly one key. */
export function oneKey(config: KeySettings, context: z.RefinementCtx): void {
  atMostOneKey(config, context);
  if (countKeys(config) === 0) {
    const message = 'is missing: set one of privateKeyFile, keystore (with passwordFile) or privateKey';
    context.addIssue({ code: 'custom', path: ['privateKeyFile'], message });
  }
}

/** Refuses a configuration that names several keys, or a keystore without its password. */
export function atMostOneKey(config: KeySettings, context: z.RefinementCtx): void {
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
