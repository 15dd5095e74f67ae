/** A chain for tests of commands: contracts, a requester's configuration, commands run in-process. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JsonRpcProvider, Wallet } from 'ethers';
import { type Emeth, openEmeth } from '../../src/chain/acts/emeth';
import { openOperator } from '../../src/chain/acts/operator';
import { openRegistry } from '../../src/chain/acts/registry';
import { deployContracts } from '../../src/chain/deploy/deploy';
import { minedReceipt } from '../../src/chain/deploy/deployer';
import { type Chain, openChain } from '../../src/chain/rpc/client';
import { openSender, type Sender } from '../../src/chain/sending/sender';
import { openWallet } from '../../src/chain/sending/wallet';
import { Address } from '../../src/domain/ids';
import { systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { devKeys, startAnvil } from '../../src/runner/anvil';
import { openStore } from '../../src/store/open';
import { runInProcess } from './cli';
import { openScratch } from './scratch';

/** A chain with the contracts deployed, and a requester's configuration that names them. */
export interface ClientChain extends AsyncDisposable {
  readonly url: string;
  readonly core: Address;
  readonly token: Address;
  readonly requester: Address;
  /** For what no command shows or does. Caches nothing, and is closed with the chain. */
  readonly provider: JsonRpcProvider;
  /** Advances the chain's time, and mines a block. */
  warp(seconds: number): Promise<void>;
  file(name: string): string;
  /** Writes another account's configuration with additional settings, and returns its path. */
  writeConfig(key: string, settings?: object): Promise<string>;
  /** Runs a command that must succeed, as the requester, and returns its JSON. */
  run<T = Record<string, string>>(...argv: string[]): Promise<T>;
  /** Runs a command that must fail. */
  runFailing(...argv: string[]): Promise<{ status: number; code: string; message: string }>;
  /** Returns a function that runs commands as another account, with additional settings. */
  as(key: string, settings?: object): Promise<<T = Record<string, unknown>>(...argv: string[]) => Promise<T>>;
  /** Opens another of the chain's accounts, with EMT of its own, registered as a node. */
  openNode(): Promise<AsyncDisposable & { emeth: Emeth }>;
}

/** A data set that every requester on this machine can name: text for one block of the default model. */
export const sampleDataset = `file:${join(__dirname, '..', 'fixtures', 'whale.txt')}`;

const [requesterKey, nodeKey] = devKeys;
const addressOf = (key: string) => Address.parse(new Wallet(key).address);

/** Starts anvil and deploys the contracts; `storageApi` goes into the configuration. */
export async function openClientChain(options: { storageApi?: string } = {}): Promise<ClientChain> {
  const anvil = await startAnvil();
  const scratch = await openScratch();
  const provider = new JsonRpcProvider(anvil.url, undefined, { batchMaxCount: 1, cacheTimeout: -1 });
  const requester = addressOf(requesterKey);
  const { core, token } = await deploy(provider, requester);
  const writeConfig = async (name: string, privateKey: string, settings: object) => {
    const config = { endpoint: anvil.url, emethContractAddress: core, tokenContractAddress: token, privateKey };
    await writeFile(scratch.file(name), JSON.stringify({ ...config, ...settings }), { mode: 0o600 });
    return scratch.file(name);
  };
  const config = await writeConfig('client.json', requesterKey, options);
  const common = ['--config', config, '--data-dir', scratch.file('data'), '--json'];

  return {
    url: anvil.url,
    core,
    token,
    requester,
    provider,
    async warp(seconds) {
      await provider.send('evm_increaseTime', [seconds]);
      await provider.send('evm_mine', []);
    },
    file: scratch.file,
    writeConfig: (key, settings = {}) => writeConfig(`${nameOf(key)}.json`, key, settings),
    run: (...argv) => runToJson(...argv, ...common),
    async runFailing(...argv) {
      const { status, out, talk } = await runInProcess(...argv, ...common);
      if (out !== '') throw new Error(`It printed ${out}`);
      const last = talk.trim().split('\n').at(-1) ?? '';
      return { status, ...(JSON.parse(last) as { error: { code: string; message: string } }).error };
    },
    async as(key, settings = {}) {
      const path = await writeConfig(`${nameOf(key)}.json`, key, settings);
      return <T>(...argv: string[]) =>
        runToJson<T>(...argv, '--config', path, '--data-dir', scratch.file(nameOf(key)), '--json');
    },
    openNode: () => openNode({ endpoint: anvil.url, core, token }),
    async [Symbol.asyncDispose]() {
      provider.destroy();
      await anvil[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

/** Returns the base name of an account's files. */
function nameOf(key: string): string {
  return key.slice(2, 8);
}

async function runToJson<T>(...argv: string[]): Promise<T> {
  const { status, out, talk } = await runInProcess(...argv);
  if (status !== 0) throw new Error(talk);
  return JSON.parse(out);
}

async function deploy(provider: JsonRpcProvider, holder: Address): Promise<{ core: Address; token: Address }> {
  const deployer = new Wallet(requesterKey, provider);
  const deployed = await deployContracts(deployer, { holder, admin: holder, verifiers: [holder] });
  const transfer = `0xa9059cbb${addressOf(nodeKey).slice(2).padStart(64, '0')}${(1000n * 10n ** 18n).toString(16).padStart(64, '0')}`;
  await minedReceipt(await deployer.sendTransaction({ to: deployed.tokenContractAddress, data: transfer }));
  return { core: deployed.emethContractAddress, token: deployed.tokenContractAddress };
}

async function openNode(options: { endpoint: string; core: Address; token: Address }) {
  const chain = await openChain(options);
  const scratch = await openScratch();
  const store = await openStore({ kind: 'sqlite', path: scratch.file('node.sqlite') });
  const wallet = await openWallet({ privateKey: nodeKey }, chain.chainId);
  const { signal } = new AbortController();
  const deps = { chain, wallet, intents: store.intents, clock: systemClock, logger: silentLogger, signal };
  const sender = openSender({}, deps);
  await registerAs(chain, sender);
  return {
    emeth: openEmeth(chain, sender, wallet),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await chain[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

/** Registers the sender's account as a node with the minimum stake, unless it is one already. */
async function registerAs(chain: Chain, sender: Sender): Promise<void> {
  const registry = await openRegistry(chain);
  if (!registry) throw new Error('The deployment has no registry');
  if (await registry.find(sender.address)) return;
  const operator = openOperator(chain, registry, sender);
  await operator.createOrganisation('client-chain');
  const enrolment = {
    node: sender.address,
    organisation: 'client-chain',
    payout: sender.address,
    capabilityHash: `0x${'0'.repeat(64)}`,
    capabilityUri: '',
    computeUnits: 1,
    deadline: 2 ** 40,
  };
  await operator.register(enrolment, await registry.minStakeWei());
}
