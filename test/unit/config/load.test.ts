/** How a configuration is read, and what its errors say. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { loadConfig } from '../../../src/config/load';
import type { ConfigError } from '../../../src/config/problems';
import type { Role } from '../../../src/config/schema';
import { AppError } from '../../../src/lib/errors';
import { openScratch } from '../../support/scratch';

const chain = {
  endpoint: 'http://127.0.0.1:8545',
  emethContractAddress: '0xE7f1725E7734CE288F8367e1Bb143E90bb3F0512',
  tokenContractAddress: '0x5fbdb2315678afecb367f032d93f642f64180aa3',
};
const master = { ...chain, my_url: 'http://127.0.0.1:3000', privateKeyFile: 'master.key' };
const worker = { master_node_url: 'http://127.0.0.1:3000' };

async function load(role: Role, content: unknown, env: NodeJS.ProcessEnv = {}, mode = 0o600) {
  await using scratch = await openScratch();
  const path = scratch.file('config.json');
  await writeFile(path, typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content));
  await chmod(path, mode);
  return { path, config: loadConfig(role, { path, isRequired: true, env }) as Record<string, unknown> };
}

async function failure(...args: Parameters<typeof load>): Promise<AppError<ConfigError>> {
  const error = await load(...args).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw new Error(`Expected an AppError, got ${error}`);
  return error as AppError<ConfigError>;
}

describe('loadConfig', () => {
  test('required settings alone: the rest has its defaults', async () => {
    const { config } = await load('master', master);
    expect(config).toMatchObject({
      emethContractAddress: chain.emethContractAddress.toLowerCase(),
      min_fee: 10_000_000_000_000_000_000n,
      max_fee: 30_000_000_000_000_000_000n,
      cooperative: 'nvm',
      device: 'cpu',
      worker_whitelist: ['*'],
      jsonrpc_whitelist: ['127.0.0.1', '::1'],
      commission: 0.1,
      round: { leaseMs: 30_000, graceMs: 10_000, resumeMs: 3000 },
    });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.round)).toBe(true);
  });

  test('worker with only a master: loads', async () => {
    const { config } = await load('worker', worker);
    const timeout = { wait_data: 300_000, idle: 600_000, learning: 60_000, checkpoint: 1_200_000 };
    expect(config.timeout).toEqual({ ...timeout, team: 600_000 });
  });

  test('team: a rank below the number of boxes, and where they meet', async () => {
    const team = { boxes: 2, rank: 1, rendezvous: '10.0.0.1:29400' };
    expect((await load('worker', { ...worker, team })).config.team).toEqual(team);
    for (const wrong of [
      { rank: 2 },
      { boxes: 1, rank: 0 },
      { rendezvous: '10.0.0.1' },
      { rendezvous: '10.0.0.1:0' },
      { rendezvous: '10.0.0.1:70000' },
    ]) {
      await expect(load('worker', { ...worker, team: { ...team, ...wrong } })).rejects.toThrow('team');
    }
  });

  test('comments and trailing commas: allowed', async () => {
    const { config } = await load(
      'worker',
      '{\n// who\n"master_node_url": "http://127.0.0.1:3000", /* cpu */ "device": "cpu",\n}',
    );
    expect(config.master_node_url).toBe('http://127.0.0.1:3000');
  });

  test.each([{}, { EMETH__ENDPOINT: '' }])(
    'when a network is named, its file tells where the chain is: %j',
    async (env) => {
      await using scratch = await openScratch();
      const deployment = {
        ...chain,
        endpoint: ['http://127.0.0.1:1', 'http://127.0.0.1:2'],
        fromBlock: 7,
        rewardPool: '0x',
      };
      await mkdir(scratch.file('networks'));
      await writeFile(scratch.file('networks/local.json'), JSON.stringify(deployment));
      const path = scratch.file('master.json');
      const { my_url, privateKeyFile } = master;
      await writeFile(path, JSON.stringify({ network: 'local', my_url, privateKeyFile }), { mode: 0o600 });
      const config = loadConfig('master', { path, isRequired: true, env });
      expect(config).toMatchObject({ endpoint: deployment.endpoint, fromBlock: 7 });
    },
  );

  test('whitelist of one string: a list of one', async () => {
    const { config } = await load('master', { ...master, worker_whitelist: '10.0.0.0/8' });
    expect(config.worker_whitelist).toEqual(['10.0.0.0/8']);
  });

  test('relative file path: starts at the configuration', async () => {
    const { config, path } = await load('master', master);
    expect(config.privateKeyFile).toBe(path.replace('config.json', 'master.key'));
  });

  test("requester reads a master's file: its own settings are taken", async () => {
    const { config } = await load('client', master);
    expect(config).not.toHaveProperty('my_url');
    expect(config.endpoint).toBe(chain.endpoint);
  });

  test.each<[string, Role, object, string[]]>([
    ['a misspelt key', 'master', { ...master, min_fe: '1' }, ['min_fe: is not a setting. did you mean min_fee?']],
    [
      'a misspelt key in a group',
      'worker',
      { ...worker, timeout: { lerning: 1 } },
      ['timeout.lerning', 'did you mean learning?'],
    ],
    ["another role's key", 'master', { ...master, powerCapacity: 3 }, ["belongs to the worker's configuration"]],
    ['a missing key', 'master', { ...master, endpoint: undefined }, ['endpoint: is missing. JSON-RPC address']],
    ['no key at all', 'master', { ...master, privateKeyFile: undefined }, ['set one of privateKeyFile']],
    ['two keys', 'master', { ...master, keystore: 'k', passwordFile: 'p' }, ['only one of privateKey']],
    ['a keystore without password', 'worker', { ...worker, keystore: 'k' }, ['passwordFile: is needed']],
    [
      'an address that is none',
      'master',
      { ...master, emethContractAddress: '0x12' },
      ['40 hex digits', 'found "0x12"'],
    ],
    ['an endpoint that is no URL', 'master', { ...master, endpoint: 'localhost:8545' }, ['http:// or https://']],
    ['a fee as a number', 'master', { ...master, min_fee: 10 }, ['min_fee', 'found 10', 'string of digits in quotes']],
    ['fees the wrong way round', 'master', { ...master, min_fee: '5', max_fee: '4' }, ['must not be above max_fee']],
    ['a bad device', 'worker', { ...worker, device: 'gpu' }, ['cpu, cuda or cuda:n', 'found "gpu"']],
    ['a bad list entry', 'master', { ...master, worker_whitelist: ['nowhere'] }, ['worker_whitelist', 'CIDR']],
    ['a bad choice', 'master', { ...master, cooperative: 'all' }, ['cooperative', '"1v1"']],
    ['a bad batch', 'master', { ...master, batchSize: 0 }, ['batchSize', 'found 0']],
    [
      'an incomplete database',
      'master',
      { ...master, external_db: { host: 'h' } },
      ['external_db.user', 'external_db.database'],
    ],
  ])('%s: throws config/invalid', async (_name, role, content, words) => {
    const error = await failure(role, content);
    expect(error.code).toBe('config/invalid');
    for (const word of words) expect(error.message).toContain(word);
  });

  test('several mistakes: config/invalid names all at once, secrets redacted', async () => {
    const error = await failure('master', {
      ...master,
      privateKey: 'hush',
      device: 'gpu',
      my_ulr: 'x',
      my_url: undefined,
    });
    expect(error.message).toContain('settings of');
    for (const word of ['device', 'my_ulr', 'my_url', 'privateKey', '[redacted]'])
      expect(error.message).toContain(word);
    expect(error.message).not.toContain('hush');
  });

  test('group written as one text: its secret is redacted', async () => {
    const external_db = '{"host": "h", "password": "hush"';
    expect((await failure('master', { ...master, external_db })).message).not.toContain('hush');
    const error = await failure('master', master, { EMETH__EXTERNAL_DB: external_db });
    expect(error.message).toContain('EMETH__EXTERNAL_DB');
    expect(error.message).not.toContain('hush');
  });

  test('bad JSON: throws config/syntax with line and column', async () => {
    const error = await failure('master', '{\n  "endpoint": "x"\n  "chainId": 1\n}');
    expect(error.detail).toMatchObject({ code: 'config/syntax', line: 3, column: 3 });
  });

  test('file with a byte order mark: read as without', async () => {
    const { config } = await load('master', `\ufeff${JSON.stringify(master)}`);
    expect(config.my_url).toBe(master.my_url);
  });

  test('file in UTF-16: throws config/not-text, which names it', async () => {
    const error = await failure('master', Buffer.from(`\ufeff${JSON.stringify(master)}`, 'utf16le'));
    expect(error.code).toBe('config/not-text');
    expect(error.message).toMatch(/config.json cannot be used: it is UTF-16, .*; save it as UTF-8\.$/);
  });

  test.each(['[]', '7', 'null'])('file holds %s: throws config/invalid', async (content) => {
    expect((await failure('master', content)).message).toContain('one JSON object');
  });

  test('no file: throws config/missing with the remedy', () => {
    const missing = () => loadConfig('master', { path: '/nowhere/master.json', isRequired: false, env: {} });
    expect(missing).toThrow(/emeth init master/);
  });

  test.each([
    ['a private key', 'worker', { ...worker, privateKey: 'ab'.repeat(32) }],
    [
      'a database password',
      'master',
      { ...master, external_db: { host: 'h', user: 'u', password: 'p', database: 'd' } },
    ],
  ] as const)('others can read %s: throws config/exposed-secret', async (_name, role, content) => {
    const error = await failure(role, content, {}, 0o640);
    expect(error.code).toBe('config/exposed-secret');
    expect(error.message).toContain('chmod 600');
    await expect(load(role, content)).resolves.toBeDefined();
  });

  test('file without a secret: may be readable by all', async () => {
    await expect(load('master', master, {}, 0o644)).resolves.toBeDefined();
  });
});

describe('environment', () => {
  test('variables and file: the variables win', async () => {
    const { config } = await load('master', master, {
      EMETH__MIN_FEE: '7',
      EMETH__LISTEN__PORT: '0',
      EMETH__WORKER_WHITELIST: '10.0.0.1, 10.0.0.2',
      EMETH__ROUND__LEASE_MS: '5000',
      EMETH__COMMISSION: '0.25',
      EMETH__EXTERNAL_DB: '{"host":"db","user":"u","database":"d"}',
      EMETH__EXTERNAL_DB__PASSWORD: '1234',
    });
    expect(config).toMatchObject({
      min_fee: 7n,
      listen: { port: 0 },
      worker_whitelist: ['10.0.0.1', '10.0.0.2'],
      round: { leaseMs: 5000, graceMs: 10_000 },
      commission: 0.25,
      external_db: { host: 'db', password: '1234', port: 3306 },
    });
  });

  test('variable of another role: ignored', async () => {
    await expect(load('master', master, { EMETH__MASTER_NODE_URL: 'http://x' })).resolves.toBeDefined();
  });

  test('no file but enough variables: loads', () => {
    const env = { EMETH__MASTER_NODE_URL: 'http://127.0.0.1:3000' };
    const config = loadConfig('worker', { path: '/nowhere/worker.json', isRequired: false, env });
    expect(config.master_node_url).toBe(env.EMETH__MASTER_NODE_URL);
  });

  test.each([
    ['EMETH__MIN_FE', '1', 'EMETH__MIN_FEE'],
    ['EMETH__BATCH_SIZE', 'many', 'EMETH__BATCH_SIZE'],
    ['EMETH__EXTERNAL_DB', '{', 'EMETH__EXTERNAL_DB'],
  ])('variable %s=%s: throws config/invalid', async (name, text, word) => {
    const error = await failure('master', master, { [name]: text });
    expect(error.code).toBe('config/invalid');
    expect(error.message).toContain(word);
  });

  test.each([
    ['EMETH__MIN_FEE', 'abc', 'min_fee', 'abc'],
    ['EMETH__BATCH_SIZE', 'many', 'batchSize', 'many'],
    ['EMETH__round__leasems', 'x', 'round.leaseMs', 'x'],
    ['EMETH__EXTERNAL_DB', '{"host":"h","user":"u","database":"d","port":"p"}', 'external_db.port', 'p'],
  ])('bad variable %s=%s: named, once', async (name, text, path, found) => {
    const { message } = await failure('master', master, { [name]: text });
    expect(message.split('\n')).toHaveLength(2);
    expect(message).toContain(`One setting of the environment must be corrected:\n  ${name} (${path}): `);
    expect(message).toContain(`(found "${found}")`);
  });

  test('mistakes in file and variables: told apart', async () => {
    const { message } = await failure('master', { ...master, threads: 'all' }, { EMETH__MIN_FEE: 'abc' });
    expect(message).toMatch(/^2 settings of \S+config\.json /);
    expect(message).toContain('\n  threads: ');
    expect(message).toContain('\n  EMETH__MIN_FEE (min_fee): ');
  });
});
