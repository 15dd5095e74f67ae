/** The jobs a node took, read from providers that limit block ranges or lose logs. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Wallet } from 'ethers';
import { jobsTakenBy } from '../../../../src/chain/reading/node-history';
import { openChain } from '../../../../src/chain/rpc/client';
import { Address, JobId } from '../../../../src/domain/ids';
import { devKeys } from '../../../../src/runner/anvil';
import { type ClientChain, openClientChain, sampleDataset } from '../../../support/client-chain';

const node = Address.parse(new Wallet(devKeys[1]).address);
const WIDEST = 100;

interface RpcRequest {
  id: number;
  method: string;
  params: { fromBlock: string; toBlock: string }[];
}

/** Opens a proxy of a real node that serves logs only for ranges of up to `widest` blocks; 0 refuses all. */
async function openProvider(target: string, widest: number) {
  const ranges = { refused: 0, answered: 0 };
  let lostLogs = 0;
  const answer = async (body: string): Promise<string> => {
    const { id, method, params } = JSON.parse(body) as RpcRequest;
    const [filter] = params;
    if (method === 'eth_getLogs' && filter?.fromBlock !== undefined) {
      if (Number(filter.toBlock) - Number(filter.fromBlock) + 1 > widest) {
        ranges.refused += 1;
        const error = { code: -32_005, message: `query exceeds max block range ${widest}` };
        return JSON.stringify({ jsonrpc: '2.0', id, error });
      }
      ranges.answered += 1;
    }
    const response = await fetch(target, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const served = await response.text();
    if (method !== 'eth_getLogs' || lostLogs === 0 || served.includes('"result":[]')) return served;
    lostLogs -= 1;
    return JSON.stringify({ jsonrpc: '2.0', id, result: [] });
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    response.end(await answer(Buffer.concat(chunks).toString()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ranges,
    /** Empties the next `answers` answers that have logs. */
    lose(answers: number) {
      lostLogs = answers;
    },
    get stillToLose() {
      return lostLogs;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

let client: ClientChain;
let jobs: JobId[];
beforeAll(async () => {
  client = await openClientChain();
  await using taker = await client.openNode();
  const request = async () => {
    const args = ['--dataset', sampleDataset, '--fee', '20emt', '--fuel-limit', '1000'];
    return JobId.parse((await client.run('request', ...args)).jobId);
  };
  const [first, second, third] = [await request(), await request(), await request()];
  await request();
  await taker.emeth.process(first);
  await taker.emeth.process(second);
  await taker.emeth.decline(second);
  await client.provider.send('anvil_mine', ['0x3e8']);
  await taker.emeth.process(second);
  await client.provider.send('anvil_mine', ['0x3e8']);
  await taker.emeth.process(third);
  jobs = [first, second, third];
});
afterAll(() => client?.[Symbol.asyncDispose]());

const open = (endpoint: string) => openChain({ endpoint, core: client.core, token: client.token });

test('default: every job the node took, each once, oldest first, and no other', async () => {
  await using chain = await open(client.url);
  expect(await jobsTakenBy(chain, node, 0)).toEqual(jobs);
  expect(await jobsTakenBy(chain, client.requester, 0)).toEqual([]);
});

test('provider refuses wide ranges: narrower ones are requested', async () => {
  await using provider = await openProvider(client.url, WIDEST);
  await using chain = await open(provider.url);
  expect(await jobsTakenBy(chain, node, 0)).toEqual(jobs);
  expect(provider.ranges.refused).toBeGreaterThan(0);
});

test('provider refuses every range: throws the provider’s error', async () => {
  await using provider = await openProvider(client.url, 0);
  await using chain = await open(provider.url);
  await expect(jobsTakenBy(chain, node, 0)).rejects.toThrow('query exceeds max block range');
  expect(provider.ranges.answered).toBe(0);
});

test('provider omits logs for a while: no job is missed', async () => {
  await using provider = await openProvider(client.url, WIDEST);
  await using chain = await open(provider.url);
  provider.lose(2);
  expect(await jobsTakenBy(chain, node, 0)).toEqual(jobs);
  expect(provider.stillToLose).toBe(0);
});

test('later first block: jobs taken before it are left out', async () => {
  await using chain = await open(client.url);
  expect(await jobsTakenBy(chain, node, await chain.headBlock())).toEqual(jobs.slice(2));
  expect(await jobsTakenBy(chain, node, (await chain.headBlock()) + 1)).toEqual([]);
});
