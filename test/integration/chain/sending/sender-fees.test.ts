/** The sender while the chain's fees change, up to and above the bound that the operator has set. */
import { openChain } from '../../../../src/chain/rpc/client';
import type { SenderOptions } from '../../../../src/chain/sending/sender';
import { silentLogger } from '../../../../src/lib/logger';
import { type ChainAccounts, openChainAccounts } from '../../../support/chain-accounts';
import { openJsonServer, type Scripted } from '../../../support/json-server';
import { until } from '../../../support/until';

const GWEI = 1_000_000_000n;
let accounts: ChainAccounts;
let acts = 0;

beforeAll(async () => {
  accounts = await openChainAccounts();
}, 30_000);

afterAll(() => accounts[Symbol.asyncDispose]());

/** Not by a snapshot: the store would go on holding the nonces that the chain has forgotten. */
afterEach(async () => {
  await provider().send('evm_setAutomine', [true]);
  await setBaseFee(1);
  await mine();
});

const provider = () => accounts.chain.provider;
const mine = () => provider().send('evm_mine', []);
const setBaseFee = (gwei: number) =>
  provider().send('anvil_setNextBlockBaseFeePerGas', [`0x${(BigInt(gwei) * GWEI).toString(16)}`]);
const attempts = async () =>
  (await accounts.store.intents.listPending(accounts.escrow.address.node))[0]?.attempts ?? [];
const inPool = async () => {
  const hash = (await attempts()).at(-1)?.hash;
  return hash !== undefined && (await provider().getTransaction(hash)) !== null;
};

/** Begins an act behind a proxy of the node, which may script answers. */
async function openAct(options: SenderOptions, script: (method: string) => Scripted | undefined = () => undefined) {
  const proxy = await openJsonServer(script, provider()._getConnection().url);
  const chain = await openChain({ endpoint: proxy.url, core: accounts.chain.core, token: accounts.chain.token });
  const warnings: string[] = [];
  const warn = (...line: unknown[]) => void warnings.push(JSON.stringify(line));
  const stop = new AbortController();
  const change = { chain, signal: stop.signal, logger: { ...silentLogger, warn } };
  const sender = await accounts.senderOf('node', options, change);
  acts += 1;
  return {
    warnings,
    sending: sender.send({ key: `act${acts}`, to: accounts.escrow.address.admin, data: '0x', valueWei: 1n }),
    /** Resolves after so many further requests of one kind. */
    async asked(method: string, times: number) {
      const count = () => proxy.asked.filter((name) => name === method).length;
      const end = count() + times;
      await until(async () => count() >= end);
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('over'));
      await chain[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

test('base fee × 25 while an act waits: mined in the second block, under the cap', async () => {
  await provider().send('evm_setAutomine', [false]);
  await using act = await openAct({ maxFeePerGas: 100n * GWEI });
  await until(inPool);
  const [first] = await attempts();
  await setBaseFee(25);
  await mine();
  const jump = await provider().getBlockNumber();
  await until(async () => (await attempts()).length > 1 && (await inPool()));
  await mine();
  const { hash } = await act.sending;
  const { blockNumber, gasPrice } = (await provider().getTransactionReceipt(hash)) ?? {};
  expect([hash === first?.hash, blockNumber]).toEqual([false, jump + 1]);
  expect(gasPrice).toBeLessThanOrEqual(100n * GWEI);
  expect(act.warnings).toEqual([]);
});

test('base fee above the cap while an act waits: told once; mined when it falls', async () => {
  await provider().send('evm_setAutomine', [false]);
  await using act = await openAct({ maxFeePerGas: 100n * GWEI });
  await until(inPool);
  await setBaseFee(600);
  await mine();
  await act.asked('eth_feeHistory', 5);
  expect(await attempts()).toHaveLength(1);
  expect(act.warnings).toEqual([expect.stringContaining('"maxFeePerGas":"100 gwei"')]);
  await setBaseFee(50);
  await mine();
  await until(async () => (await attempts()).length > 1 && (await inPool()));
  await mine();
  await act.sending;
  expect(act.warnings).toHaveLength(1);
});

test('base fee above the cap before signing: told once; signed when it falls', async () => {
  await setBaseFee(600);
  await using act = await openAct({ maxFeePerGas: 100n * GWEI, resendMs: 10 });
  await act.asked('eth_feeHistory', 5);
  expect(await attempts()).toEqual([]);
  expect(act.warnings).toEqual([expect.stringMatching(/needs a higher fee.*600 gwei.*100 gwei.*--max-fee-per-gas/)]);
  await setBaseFee(50);
  await act.sending;
  expect(act.warnings).toHaveLength(1);
});

test('cap raised in another process: the stuck act of the first goes on', async () => {
  await provider().send('evm_setAutomine', [false]);
  await using act = await openAct({ maxFeePerGas: 100n * GWEI });
  await until(inPool);
  await setBaseFee(600);
  await mine();
  await act.asked('eth_feeHistory', 3);
  await (await accounts.senderOf('node', { maxFeePerGas: 2000n * GWEI })).resume();
  await until(async () => (await attempts()).length > 1 && (await inPool()));
  await mine();
  await act.sending;
});

test('node that names its least tip: the next version pays it', async () => {
  const words = 'transaction underpriced: gas tip cap 1000000000, minimum needed 25000000000';
  let refused = 0;
  await using act = await openAct({}, (method) => {
    if (method !== 'eth_sendRawTransaction' || refused > 0) return undefined;
    refused += 1;
    return { body: { error: { code: -32000, message: words } } };
  });
  const { hash } = await act.sending;
  expect((await provider().getTransaction(hash))?.maxPriorityFeePerGas).toBe(25n * GWEI);
  expect(act.warnings).toEqual([expect.stringContaining(words)]);
});

test('node that refuses for long: told once, in its words, without the signed bytes', async () => {
  const words = 'tx fee (1.50 ether) exceeds the configured cap (1.00 ether)';
  let isWilling = false;
  await using act = await openAct({ resendMs: 10 }, (method) =>
    method === 'eth_sendRawTransaction' && !isWilling
      ? { body: { error: { code: -32000, message: words } } }
      : undefined,
  );
  await act.asked('eth_sendRawTransaction', 5);
  expect(act.warnings).toEqual([expect.stringContaining(words)]);
  expect(act.warnings[0]).not.toContain((await attempts())[0]?.raw);
  isWilling = true;
  await act.sending;
  expect(act.warnings).toHaveLength(1);
});

test('account too poor for the higher fee: told once; goes on when it has more', async () => {
  await provider().send('evm_setAutomine', [false]);
  await using act = await openAct({ maxFeePerGas: 5000n * GWEI });
  await until(inPool);
  await provider().send('anvil_setBalance', [accounts.escrow.address.node, `0x${(10n ** 15n).toString(16)}`]);
  await setBaseFee(600);
  await mine();
  await act.asked('eth_feeHistory', 5);
  expect(act.warnings).toEqual([expect.stringContaining('too little ETH')]);
  await provider().send('anvil_setBalance', [accounts.escrow.address.node, `0x${(10n ** 18n).toString(16)}`]);
  await until(async () => (await attempts()).length > 1 && (await inPool()));
  await mine();
  await act.sending;
});
