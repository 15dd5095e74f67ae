/** Further processes beside those of a test network: masters with their workers, storages. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openAdminClient } from '../../src/admin/client';
import { fundAccounts } from '../../src/chain/deploy/faucet';
import { newAccount } from '../../src/chain/sending/wallet';
import type { Party } from '../../src/demo/parties';
import { waitFor } from '../../src/demo/watch';
import { systemClock as clock } from '../../src/lib/clock';
import { freePort } from '../../src/lib/free-port';
import { devKeys } from '../../src/runner/anvil';
import { type RoleProcess, startRole } from '../../src/runner/cli-process';
import type { Network } from './network';

const EMT = 10n ** 18n;

/** Waits for something of a whole network, and names it when it does not come. */
export function untilSo(what: string, check: () => Promise<boolean>): Promise<void> {
  return waitFor(what, check, { limitMs: 500_000, clock, signal: new AbortController().signal });
}

/**
 * Starts another master that reads the chain from its own registration on. Its settings are those of the
 * network's master but for `more`.
 */
export async function startFurtherMaster(network: Network, more: (masterUrl: string) => object) {
  const { dir, parties, chain } = network;
  const base = await settingsOf(parties.node);
  const { endpoint, chainId, emethContractAddress, tokenContractAddress, python } = base;
  const url = `http://127.0.0.1:${await freePort()}`;
  const settings = { ...base, my_url: url, ...more(parties.masterUrl) };
  const node = await addParty(dir, 'second-node', settings);
  const gift = { to: node.address, ethWei: EMT, emtWei: 100n * EMT };
  await fundAccounts(String(endpoint), { privateKey: devKeys[0] }, parties.token, [gift]);
  await network.command(node, 'register-node', '--organization', 'second', '--wallet-account', node.address);
  await configure(node, { ...settings, fromBlock: await chain.provider.getBlockNumber() });

  const roles: RoleProcess[] = [];
  const start = (command: string, party: Party) => {
    const role = startRole(party.role, [command, ...as(party)], join(dir, `${party.role}.log`));
    roles.push(role);
    return role;
  };
  const master = start('master', node);
  return {
    url,
    address: node.address,
    master,
    admin: openAdminClient(url),
    async startWorker() {
      const places = { endpoint, chainId, emethContractAddress, tokenContractAddress, python };
      const link = { master_node_url: url, masterAddress: node.address };
      start('worker', await addParty(dir, 'second-worker', { ...places, ...link, threads: 1, powerCapacity: 50 }));
    },
    async [Symbol.asyncDispose]() {
      for (const role of roles.reverse()) await role[Symbol.asyncDispose]();
    },
  };
}

/** A storage with an account of its own. */
export interface FurtherStorage {
  readonly url: string;
  readonly address: string;
  readonly role: RoleProcess;
}

/** Starts a storage of the network's chain, and waits until it answers. */
export async function startStorage(
  network: Network,
  name: string,
  port: number,
  more: object = {},
): Promise<FurtherStorage> {
  const { dir, parties } = network;
  const { endpoint, chainId, emethContractAddress, tokenContractAddress } = await settingsOf(parties.verifier);
  const chain = { endpoint, chainId, emethContractAddress, tokenContractAddress, pollMs: 200 };
  const url = `http://127.0.0.1:${port}`;
  const party = await addParty(dir, name, { ...chain, my_url: url, ...more });
  const role = startRole(name, ['storage', ...as(party)], join(dir, `${name}.log`));
  await untilSo(`The storage ${name} is not ready`, async () =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return { url: `${url}/api/v1`, address: party.address, role };
}

/** Changes settings of a party, for processes that start later. */
export async function reconfigure(party: Party, changes: object): Promise<void> {
  await configure(party, { ...(await settingsOf(party)), ...changes });
}

async function settingsOf(party: Party): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(party.configPath, 'utf8')) as Record<string, unknown>;
}

async function addParty(dir: string, role: string, settings: object): Promise<Party> {
  const { address, privateKey } = await newAccount();
  const party = { role, address, configPath: join(dir, `${role}.json`), dataDir: join(dir, role) };
  await mkdir(party.dataDir);
  await writeFile(join(dir, `${role}.key`), privateKey, { mode: 0o600 });
  await configure(party, settings);
  return party;
}

async function configure(party: Party, settings: object): Promise<void> {
  const privateKeyFile = party.configPath.replace(/json$/, 'key');
  await writeFile(party.configPath, JSON.stringify({ ...settings, privateKeyFile }), { mode: 0o600 });
}

function as(party: Party): string[] {
  return ['--config', party.configPath, '--data-dir', party.dataDir];
}
