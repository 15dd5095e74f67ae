/** The accounts of the demo's roles, the contracts between them, and the configurations they run with. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deployContracts } from '../chain/deploy/deploy';
import { openDeployer } from '../chain/deploy/deployer';
import { fundAccounts } from '../chain/deploy/faucet';
import { newAccount } from '../chain/sending/wallet';
import type { Address } from '../domain/ids';
import { devKeys } from '../runner/anvil';

/** One role of the demo, its account and its files. */
export interface Party {
  /** `requester`, `node`, `worker 1` …, `cheat 1` …, `verifier`. */
  role: string;
  address: Address;
  configPath: string;
  dataDir: string;
}

/** All parties, and the contracts between them. */
export interface Parties {
  requester: Party;
  node: Party;
  workers: Party[];
  /** Workers that cheat. */
  cheats: Party[];
  verifier: Party;
  deployer: Address;
  core: Address;
  token: Address;
  registry: Address;
  chainId: number;
  masterUrl: string;
}

const EMT = 10n ** 18n;
const ETH = 10n ** 18n;

/**
 * Makes all accounts, deploys the contracts, gives each account what it needs to begin, and writes the
 * configurations.
 */
export async function makeParties(options: {
  dir: string;
  endpoint: string;
  masterPort: number;
  workers: number;
  cheats?: number | undefined;
  threads: number;
  /** Settings in addition to the demo's own, by role. */
  settings?: { node?: object | undefined; worker?: object | undefined; verifier?: object | undefined } | undefined;
}): Promise<Parties> {
  const { dir, endpoint } = options;
  const roles = [
    'requester',
    'node',
    'verifier',
    ...Array.from({ length: options.workers }, (_, i) => `worker ${i + 1}`),
    ...Array.from({ length: options.cheats ?? 0 }, (_, i) => `cheat ${i + 1}`),
  ];
  const accounts = new Map(await Promise.all(roles.map(async (role) => [role, await makeAccount(dir, role)] as const)));
  const party = (role: string) => accounts.get(role) as Party;
  const workers = roles.filter((role) => role.startsWith('worker')).map(party);
  const cheats = roles.filter((role) => role.startsWith('cheat')).map(party);
  const [requester, node, verifier] = [party('requester'), party('node'), party('verifier')];

  const deployer = await openDeployer(endpoint, { privateKey: devKeys[0] });
  const deployment = await deployContracts(deployer.signer, {
    holder: deployer.address,
    admin: deployer.address,
    verifiers: [verifier.address],
  }).finally(() => deployer.close());
  const { emethContractAddress: core, tokenContractAddress: token, chainId } = deployment;
  const registry = deployment.registryContractAddress;
  const gift = (to: Address, emt: bigint) => ({ to, ethWei: ETH, emtWei: emt * EMT });
  await fundAccounts(endpoint, { privateKey: devKeys[0] }, token, [
    gift(requester.address, 100n),
    gift(node.address, 100n),
    gift(verifier.address, 0n),
    ...[...workers, ...cheats].map((worker) => gift(worker.address, 0n)),
  ]);

  const masterUrl = `http://127.0.0.1:${options.masterPort}`;
  const chain = { endpoint, chainId, emethContractAddress: core, tokenContractAddress: token };
  const storageApi = `${masterUrl}/api/v1`;
  const { threads, settings = {} } = options;
  await writeConfig(requester, { ...chain, storageApi });
  await writeConfig(node, { ...chain, my_url: masterUrl, pollMs: 500, threads, ...settings.node });
  await writeConfig(verifier, { ...chain, storageApi, pollMs: 500, threads, ...settings.verifier });
  for (const worker of [...workers, ...cheats]) {
    await writeConfig(worker, {
      ...chain,
      master_node_url: masterUrl,
      masterAddress: node.address,
      threads,
      ...settings.worker,
    });
  }
  const contracts = { core, token, registry, chainId };
  return { requester, node, workers, cheats, verifier, deployer: deployer.address, ...contracts, masterUrl };
}

async function makeAccount(dir: string, role: string): Promise<Party> {
  const { address, privateKey } = await newAccount();
  const name = role.replace(' ', '-');
  const dataDir = join(dir, name);
  await mkdir(dataDir, { recursive: true });
  await writeFile(join(dir, `${name}.key`), privateKey, { mode: 0o600 });
  return { role, address, dataDir, configPath: join(dir, `${name}.json`) };
}

async function writeConfig(party: Party, settings: Record<string, unknown>): Promise<void> {
  const keyFile = party.configPath.replace(/\.json$/, '.key');
  await writeFile(party.configPath, JSON.stringify({ ...settings, privateKeyFile: keyFile }, null, 2), { mode: 0o600 });
}
