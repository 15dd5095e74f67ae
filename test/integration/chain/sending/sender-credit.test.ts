/** Acts that pay from credit while another act of the account, which is not mined yet, will use it up. */
import { openEmeth } from '../../../../src/chain/acts/emeth';
import type { JobRequest } from '../../../../src/chain/acts/requests';
import { coreInterface } from '../../../../src/chain/contract/events';
import { openChain } from '../../../../src/chain/rpc/client';
import type { JobId } from '../../../../src/domain/ids';
import { AppError } from '../../../../src/lib/errors';
import { type ChainAccounts, openChainAccounts } from '../../../support/chain-accounts';
import { dataset, FEE, FUEL, params } from '../../../support/escrow';
import { type JsonServer, openJsonServer, type Scripted } from '../../../support/json-server';
import { until } from '../../../support/until';

const role = 'requester';
let accounts: ChainAccounts;
let proxy: JsonServer;
let script: (method: string) => Scripted | undefined = () => undefined;

beforeAll(async () => {
  accounts = await openChainAccounts();
  proxy = await openJsonServer((method) => script(method), provider()._getConnection().url);
}, 30_000);

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await accounts[Symbol.asyncDispose]();
});

afterEach(async () => {
  script = () => undefined;
  await provider().send('evm_setAutomine', [true]);
});

const provider = () => accounts.chain.provider;
const stateOf = async (jobId: JobId) => (await accounts.chain.job(jobId)).state;
const pending = () => accounts.store.intents.listPending(accounts.escrow.address[role]);
const asked = (method: string) => proxy.asked.filter((name) => name === method).length;

async function jobOf(feeWei = FEE): Promise<JobRequest> {
  return { dataset, params, feeWei, fuelLimit: FUEL, deadlineMs: (await accounts.chain.nowMs()) + 3_600_000 };
}

/** Opens the requester as a new process would, behind the proxy. */
async function openRequester() {
  const stop = new AbortController();
  const chain = await openChain({ endpoint: proxy.url, core: accounts.chain.core, token: accounts.chain.token });
  const sender = await accounts.senderOf(role, {}, { chain, signal: stop.signal });
  return { stop, sender, emeth: openEmeth(chain, sender, await accounts.walletOf(role)), chain };
}

/** Leaves the account with credit for exactly one request. */
async function earnCredit(): Promise<void> {
  const emeth = await accounts.emethOf(role);
  const { jobId } = await emeth.request(await jobOf());
  await emeth.cancel(jobId);
}

test('stopped request that will use up the credit: the next waits, then pays by tokens', async () => {
  await earnCredit();
  await provider().send('evm_setAutomine', [false]);
  const first = await openRequester();
  const stopped = first.emeth.request(await jobOf()).then(() => 'mined', String);
  await until(async () => (await provider().send('txpool_status', [])).pending === '0x1');
  first.stop.abort(new AppError({ code: 'stopped' }, 'Stopped by SIGINT.'));
  const [intent] = await pending();
  const message = await stopped;
  expect(message).toMatch(/^AppError: Stopped by SIGINT\. .* still counts.*Undo it with: emeth cancel 0x[0-9a-f]{32}$/);
  expect(message).toContain(intent?.attempts[0]?.hash);

  const second = await openRequester();
  const looks = asked('eth_getTransactionReceipt') + 3;
  const next = second.emeth.request(await jobOf());
  await until(async () => asked('eth_getTransactionReceipt') >= looks);
  await provider().send('evm_setAutomine', [true]);
  await provider().send('evm_mine', []);
  expect(await stateOf((await next).jobId)).toBe('REQUESTED');
  const jobId = message.slice(-34) as JobId;
  expect(await stateOf(jobId)).toBe('REQUESTED');
  await second.emeth.cancel(jobId);
  expect(await stateOf(jobId)).toBe('CANCELED');
});

test('two acts signed for one credit: the second’s limit covers paying by tokens', async () => {
  await earnCredit();
  const { sender, chain } = await openRequester();
  await accounts.escrow.sendToken(role, 'approve', chain.core, FEE * 10n);
  await provider().send('evm_setAutomine', [false]);
  const { feeWei, fuelLimit, deadlineMs } = await jobOf();
  const sendings = ['11', '22'].map((byte) => {
    const args = [dataset, params, feeWei, fuelLimit, BigInt(Math.floor(deadlineMs / 1000)), `0x${byte.repeat(32)}`];
    return sender.send({ key: byte, to: chain.core, data: coreInterface.encodeFunctionData('request', args) });
  });
  await until(async () => (await provider().send('txpool_status', [])).pending === '0x2');
  await provider().send('evm_mine', []);
  await Promise.all(sendings);
});

test('gas used up: called that, with what to do; the act may be sent again', async () => {
  const { emeth } = await openRequester();
  script = (method) => (method === 'eth_estimateGas' ? { body: { result: '0x1' } } : undefined);
  const refused = emeth.request(await jobOf());
  await expect(refused).rejects.toMatchObject({ code: 'chain/out-of-gas', detail: { gasLimit: 60_001n } });
  await expect(refused).rejects.toThrow(/^The transaction request ran out of gas: .* limit of 60001.* Run it again/);
  script = () => undefined;
  const { jobId } = await emeth.request(await jobOf());
  expect(await stateOf(jobId)).toBe('REQUESTED');
});
