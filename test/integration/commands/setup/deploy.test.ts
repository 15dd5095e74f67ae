/** `emeth deploy` on a real chain, and what it refuses. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { Contract, JsonRpcProvider, Wallet } from 'ethers';
import { minedReceipt, openDeployer } from '../../../../src/chain/deploy/deployer';
import { emethCoreAbi } from '../../../../src/chain/generated/emeth-core';
import { devKeys, startAnvil } from '../../../../src/runner/anvil';
import { runInProcess } from '../../../support/cli';
import { openScratch } from '../../../support/scratch';

const [deployerKey, otherKey] = devKeys;
const other = new Wallet(otherKey).address.toLowerCase();

const seventeen = Array.from({ length: 17 }, (_, i) => `0x${(i + 1).toString(16).padStart(40, '0')}`);

/** A chain, and an empty directory to work in. */
async function openRig() {
  const anvil = await startAnvil();
  const scratch = await openScratch();
  const before = process.cwd();
  process.chdir(scratch.path);
  const provider = new JsonRpcProvider(anvil.url, 31337, { staticNetwork: true, cacheTimeout: -1 });
  return {
    url: anvil.url,
    provider,
    read: async (path: string) => JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>,
    async deploy(...more: string[]): Promise<Record<string, unknown>> {
      const { status, out, talk } = await runInProcess('deploy', '--endpoint', anvil.url, '--dev', '--json', ...more);
      if (status === 0) return JSON.parse(out);
      const { error } = JSON.parse(talk.trim().split('\n').at(-1) ?? '') as { error: object };
      return { status, ...error };
    },
    sent: () => provider.getTransactionCount(new Wallet(deployerKey).address),
    async [Symbol.asyncDispose]() {
      process.chdir(before);
      provider.destroy();
      await scratch[Symbol.asyncDispose]();
      await anvil[Symbol.asyncDispose]();
    },
  };
}

test('fresh chain: writes where the contracts are, leaves no unfinished file', async () => {
  await using rig = await openRig();
  const { network, ...deployed } = await rig.deploy('--verifier', other, '--fund', other);
  expect(network).toBe('config/networks/local.json');
  expect(await rig.read('config/networks/local.json')).toEqual({ endpoint: rig.url, ...deployed });
  await expect(readFile('config/networks/local.unfinished.json')).rejects.toThrow('ENOENT');
  expect(await rig.provider.getBalance(other)).toBe(10_010n * 10n ** 18n);
});

test('--quorum 2 of two verifiers: stored in the terms', async () => {
  await using rig = await openRig();
  const deployed = await rig.deploy('--verifier', other, new Wallet(deployerKey).address, '--quorum', '2');
  const core = new Contract(String(deployed.emethContractAddress), emethCoreAbi, rig.provider);
  expect(Number((await core.getFunction('terms').staticCall(0)).quorum)).toBe(2);
});

test.each([
  ['more than there are', ['--verifier', other, '--quorum', '2'], 'usage/quorum-too-high'],
  ['more than different ones', ['--verifier', other, other, '--quorum', '2'], 'usage/quorum-too-high'],
  ['more than the contract takes', ['--verifier', ...seventeen, '--quorum', '17'], 'usage/quorum-too-high'],
  ['one of none', ['--quorum', '1'], 'usage/quorum-too-high'],
  ['none at all', ['--verifier', other, '--quorum', '0'], 'commander.invalidArgument'],
  ['half a one', ['--verifier', other, '--quorum', '0.5'], 'commander.invalidArgument'],
])('--quorum, %s: refused before anything is sent', async (_what, options, code) => {
  await using rig = await openRig();
  expect(await rig.deploy(...options)).toMatchObject({ status: 2, code });
  expect(await rig.sent()).toBe(0);
});

test.each(['../../evil', 'a/b', '.', ''])('network name %p: refused before anything is sent', async (name) => {
  await using rig = await openRig();
  expect(await rig.deploy('--network', name)).toMatchObject({
    status: 2,
    message: expect.stringContaining('letters, digits'),
  });
  expect(await rig.sent()).toBe(0);
});

test('several endpoints: accepted; one that is no address: refused', async () => {
  await using rig = await openRig();
  await using second = await startAnvil();
  const run = (...endpoints: string[]) => runInProcess('deploy', '--dev', '--endpoint', ...endpoints);
  for (const wrong of ['localhost:8545', 'ftp://127.0.0.1', 'nothing']) {
    expect(await run(wrong)).toMatchObject({ status: 2, talk: expect.stringContaining('http:// or https://') });
  }
  expect((await run(rig.url, second.url)).status).toBe(0);
  expect(await rig.read('config/networks/local.json')).toMatchObject({ endpoint: [rig.url, second.url] });
});

test('wrong address: refused before anything is sent; 0X: accepted', async () => {
  await using rig = await openRig();
  expect(await rig.deploy('--fund', '0x12')).toMatchObject({ status: 2, code: 'usage/bad-argument' });
  expect(await rig.sent()).toBe(0);
  expect(await rig.deploy('--holder', other.replace('0x', '0X'))).toMatchObject({ chainId: 31337 });
});

test('file names another deployment: refused unless forced', async () => {
  await using rig = await openRig();
  const first = await rig.deploy();
  const sent = await rig.sent();
  const refused = await rig.deploy();
  expect(refused).toMatchObject({ status: 2, code: 'usage/other-deployment' });
  expect(refused.message).toContain('config/networks/local.json');
  expect(refused.message).toContain('--force');
  expect(await rig.sent()).toBe(sent);
  expect(await rig.read('config/networks/local.json')).toMatchObject({
    emethContractAddress: first.emethContractAddress,
  });
  const second = await rig.deploy('--force');
  expect(second.emethContractAddress).not.toBe(first.emethContractAddress);
  expect(await rig.read('config/networks/local.json')).toMatchObject({
    emethContractAddress: second.emethContractAddress,
  });
});

test('restarted development chain: the same deployment again', async () => {
  await using rig = await openRig();
  const snapshot = await rig.provider.send('evm_snapshot', []);
  const first = await rig.deploy();
  await rig.provider.send('evm_revert', [snapshot]);
  expect(await rig.deploy()).toMatchObject({ emethContractAddress: first.emethContractAddress });
});

test('file that is not a deployment: throws usage/other-deployment', async () => {
  await using rig = await openRig();
  await mkdir('config/networks', { recursive: true });
  await writeFile('config/networks/local.json', 'my notes');
  expect(await rig.deploy()).toMatchObject({ status: 2, code: 'usage/other-deployment' });
  expect(await readFile('config/networks/local.json', 'utf8')).toBe('my notes');
});

test('earlier run interrupted: the error says what to do', async () => {
  await using rig = await openRig();
  const account = new Wallet(deployerKey).address;
  // Enough for the token, and not for the escrow.
  await rig.provider.send('anvil_setBalance', [account, '0x2386f26fc10000']);
  expect(await rig.deploy()).toMatchObject({ code: 'chain/deploy-failed' });
  await rig.provider.send('anvil_setBalance', [account, '0xde0b6b3a7640000']);
  expect(await rig.sent()).toBe(1);
  const refused = await rig.deploy();
  expect(refused).toMatchObject({ status: 2, code: 'usage/unfinished-deployment' });
  expect(refused.message).toContain('config/networks/local.unfinished.json');
  expect(refused.message).toContain('--force');
  expect(await rig.sent()).toBe(1);
  expect(await rig.deploy('--force')).toMatchObject({ network: 'config/networks/local.json' });
  await expect(readFile('config/networks/local.unfinished.json')).rejects.toThrow('ENOENT');
});

test('earlier run without any transaction: deploys', async () => {
  await using rig = await openRig();
  const account = new Wallet(deployerKey).address;
  await rig.provider.send('anvil_setBalance', [account, '0x0']);
  expect(await rig.deploy()).toMatchObject({ status: 5, code: 'chain/deploy-failed' });
  expect(await rig.read('config/networks/local.unfinished.json')).toMatchObject({ firstNonce: 0 });
  await rig.provider.send('anvil_setBalance', [account, '0xde0b6b3a7640000']);
  expect(await rig.deploy()).toMatchObject({ network: 'config/networks/local.json' });
});

test('openDeployer: two transactions in a row are given two nonces', async () => {
  await using rig = await openRig();
  const deployer = await openDeployer(rig.url, { privateKey: deployerKey });
  const pay = async () => minedReceipt(await deployer.signer.sendTransaction({ to: other, value: 1n }));
  for (let i = 0; i < 3; i += 1) await pay();
  deployer.close();
  expect(await rig.sent()).toBe(3);
});
