/** The board's configuration: its own file, or the one of another role. */
import { writeFile } from 'node:fs/promises';
import { listenAddress } from '../../../src/config/derived';
import { loadConfig, roleOfFile } from '../../../src/config/load';
import { runInProcess } from '../../support/cli';
import { openScratch } from '../../support/scratch';

const chain = {
  endpoint: 'http://127.0.0.1:8545',
  emethContractAddress: '0xe7f1725e7734ce288f8367e1bb143e90bb3f0512',
  tokenContractAddress: '0x5fbdb2315678afecb367f032d93f642f64180aa3',
};

async function openFile(content: object) {
  const scratch = await openScratch();
  const path = scratch.file('config.json');
  await writeFile(path, JSON.stringify(content), { mode: 0o600 });
  return {
    path,
    load: (env: NodeJS.ProcessEnv = {}) => loadConfig('board', { path, isRequired: true, env }),
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}

test('only the chain configured: listens on this machine alone', async () => {
  await using file = await openFile(chain);
  const config = file.load();
  expect(config).toMatchObject({ ...chain, my_url: 'http://127.0.0.1:3080', pollMs: 4000 });
  expect(listenAddress(config)).toEqual({ host: '127.0.0.1', port: 3080 });
});

test('file of a requester: the board takes what it needs, not the key', async () => {
  await using file = await openFile({ ...chain, privateKeyFile: 'client.key', storageApi: 'https://s.example/api/v1' });
  const config = file.load();
  expect(config).toMatchObject({ ...chain, storageApi: ['https://s.example/api/v1'] });
  expect(config).not.toHaveProperty('privateKeyFile');
});

test('unknown setting: refused with the nearest known one', async () => {
  await using file = await openFile({ ...chain, my_ulr: 'http://127.0.0.1:1' });
  expect(() => file.load()).toThrow(/my_ulr: is not a setting\. did you mean my_url\?/);
});

test.each([
  ['board', { my_url: 'http://127.0.0.1:3080', listen: { port: 1 } }],
  ['master', { my_url: 'http://127.0.0.1:3000', privateKeyFile: 'master.key' }],
  ['storage', { my_url: 'http://127.0.0.1:3090', peers: [] }],
  ['client', {}],
])('file of a %s: its role is recognised', async (role, settings) => {
  await using file = await openFile({ ...chain, ...settings });
  expect(roleOfFile(file.path)).toBe(role);
});

test('emeth doctor on a board: no key is needed', async () => {
  await using file = await openFile({ ...chain, my_url: 'http://127.0.0.1:3080', endpoint: 'http://127.0.0.1:1' });
  const { out } = await runInProcess('doctor', '--config', file.path, '--json');
  const checks = JSON.parse(out) as { name: string; value: string }[];
  expect(checks.find(({ name }) => name === 'config')?.value).toContain('(board)');
  expect(checks.map(({ name }) => name)).not.toContain('key');
});
