/** Opening a deployment and reading its jobs, balances and events from a real contract. */
import { type Chain, openChain } from '../../../../src/chain/rpc/client';
import { hideSecrets } from '../../../../src/chain/rpc/rpc';
import type { JobId } from '../../../../src/domain/ids';
import { Address } from '../../../../src/domain/ids';
import { chainStates } from '../../../../src/domain/job';
import { systemClock } from '../../../../src/lib/clock';
import { coreInterface, type Escrow, FEE, FUEL, openEscrow } from '../../../support/escrow';
import { openJsonServer } from '../../../support/json-server';

let escrow: Escrow;
let chain: Chain;
let endpoint: string;

beforeAll(async () => {
  escrow = await openEscrow();
  endpoint = escrow.provider._getConnection().url;
  chain = await openChain({ endpoint, core: escrow.core, token: escrow.token, chainId: 31337 });
});

beforeEach(() => escrow.reset());

afterAll(async () => {
  await chain[Symbol.asyncDispose]();
  await escrow[Symbol.asyncDispose]();
});

const unusedAddress = Address.parse(`0x${'12'.repeat(20)}`);
const open = (change: Partial<Parameters<typeof openChain>[0]>) =>
  openChain({ endpoint, core: escrow.core, token: escrow.token, ...change });

describe('openChain', () => {
  test('default: chain id and contract addresses are known', () => {
    expect(chain).toMatchObject({ chainId: 31337, core: escrow.core, token: escrow.token });
  });

  test('port without a server: throws chain/unreachable', async () => {
    await expect(open({ endpoint: 'http://127.0.0.1:1' })).rejects.toMatchObject({
      detail: { code: 'chain/unreachable', endpoint: 'http://127.0.0.1:1' },
    });
  });

  test('chain other than configured: throws chain/wrong-chain with both ids', async () => {
    await expect(open({ chainId: 1 })).rejects.toMatchObject({
      detail: { code: 'chain/wrong-chain', chainId: 31337, expected: 1 },
    });
  });

  test.each([
    ['the escrow', 'core', 'emethContractAddress'],
    ['the token', 'token', 'tokenContractAddress'],
  ])('no code at the address of %s: throws chain/no-code', async (_name, option, name) => {
    await expect(open({ [option]: unusedAddress })).rejects.toMatchObject({
      detail: { code: 'chain/no-code', name, address: unusedAddress },
      message: expect.stringContaining(unusedAddress),
    });
  });

  test('secrets in the endpoint’s address: absent from the error', async () => {
    const error = await open({ endpoint: 'http://127.0.0.1:1/v3/secret?key=secret' }).catch(
      (thrown: unknown) => thrown,
    );
    expect(JSON.stringify([error, (error as Error).message])).not.toContain('secret');
    expect(hideSecrets('https://me:secret@rpc.example.org/v3/secret')).toBe('https://rpc.example.org');
  });
});

describe('chain', () => {
  test('job: the fields the contract stores', async () => {
    const jobId = (await escrow.jobIn('PROCESSING')) as JobId;
    expect(await chain.job(jobId)).toMatchObject({
      state: 'PROCESSING',
      requester: escrow.address.requester,
      node: escrow.address.node,
      feeWei: FEE,
      fuelLimit: FUEL,
      payoutWei: 0n,
    });
  });

  test.each(chainStates)('job: %s by its name', async (state) => {
    expect((await chain.job((await escrow.jobIn(state)) as JobId)).state).toBe(state);
  });

  test('job in a state this version does not know: throws chain/unknown-state', async () => {
    const jobId = (await escrow.jobIn('REQUESTED')) as JobId;
    const call = { to: escrow.core, data: coreInterface.encodeFunctionData('jobs', [jobId]) };
    const [job] = coreInterface.decodeFunctionResult('jobs', await escrow.provider.send('eth_call', [call, 'latest']));
    const newer = { ...job.toObject(), state: 99 };
    await using node = await openJsonServer((method) => {
      if (method === 'eth_chainId') return { body: { result: '0x7a69' } };
      if (method === 'eth_getCode') return { body: { result: '0x01' } };
      return { body: { result: coreInterface.encodeFunctionResult('jobs', [newer]) } };
    });
    await using other = await open({ endpoint: node.url });
    await expect(other.job(jobId)).rejects.toMatchObject({
      detail: { code: 'chain/unknown-state', jobId, state: 99 },
      message: expect.stringContaining('99'),
    });
  });

  test('job not taken yet: has no node', async () => {
    expect((await chain.job((await escrow.jobIn('REQUESTED')) as JobId)).node).toBeUndefined();
  });

  test('deposit: credit, tokenBalance and allowance follow', async () => {
    const { other } = escrow.address;
    await escrow.sendToken('other', 'approve', escrow.core, 70n);
    const before = await chain.tokenBalance(other);
    await escrow.send('other', 'deposit', other, 30n);
    expect(await chain.credit(other)).toBe(30n);
    expect(await chain.allowance(other, escrow.core)).toBe(40n);
    expect(await chain.tokenBalance(other)).toBe(before - 30n);
  });

  test('events with a job id: only that job’s', async () => {
    const first = (await escrow.jobIn('CANCELED')) as JobId;
    await escrow.jobIn('CANCELED');
    const head = await chain.headBlock();
    const events = await chain.events(0, head, first);
    expect(events.map(({ type, jobId }) => [type, jobId])).toEqual([
      ['JobRequested', first],
      ['JobCanceled', first],
    ]);
    expect(await chain.events(0, head)).toHaveLength(4);
  });

  test('events from a provider of narrow ranges: the same, from several requests', async () => {
    const first = (await escrow.jobIn('CANCELED')) as JobId;
    await using narrow = await openJsonServer((method, [filter]) => {
      const { fromBlock, toBlock } = (filter ?? {}) as { fromBlock: string; toBlock: string };
      const isWide = method === 'eth_getLogs' && Number(toBlock) - Number(fromBlock) >= 10;
      return isWide ? { status: 400, body: { error: { code: -32_600, message: 'up to 10 blocks' } } } : undefined;
    }, endpoint);
    await using other = await open({ endpoint: narrow.url });
    const head = await chain.headBlock();
    expect(await other.events(0, head, first)).toEqual(await chain.events(0, head, first));
    expect(narrow.asked.filter((method) => method === 'eth_getLogs').length).toBeGreaterThan(2);
  });

  test('extraFees, blockHash: the chain’s own; nowMs: the later of its time and ours', async () => {
    expect(await chain.extraFees(1000n)).toEqual({ verifierWei: 50n, burnWei: 50n });
    const block = await escrow.provider.getBlock('latest');
    const blockMs = (block?.timestamp ?? 0) * 1000;
    for (const [ownMs, nowMs] of [
      [blockMs - 60_000, blockMs],
      [blockMs + 660_000, blockMs + 660_000],
    ] as const) {
      await using timed = await openChain(
        { endpoint, core: escrow.core, token: escrow.token },
        { clock: { ...systemClock, now: () => ownMs } },
      );
      expect(await timed.nowMs()).toBe(nowMs);
    }
    expect(await chain.blockHash(block?.number ?? -1)).toBe(block?.hash);
    expect(await chain.blockHash((block?.number ?? 0) + 1000)).toBeUndefined();
  });
});
