/**
 * Measures how fast a master catches up with the chain: the same events from a local anvil, read by ethers
 * and by this project; medians of three runs, taken in turns. Most rows read windows of 50 blocks.
 * `watchChain` is the real poll loop: it chooses its ranges, reads each twice, and also checks blocks and
 * receipts. The bare fetch, which parses JSON and decodes nothing, is the upper bound.
 *
 *     npm run bench:backfill -- [--events 50000] [--only watchChain]
 *
 * `--only` leaves out rows whose names do not contain it, e.g. for a profiler (`node --cpu-prof -r
 * ts-node/register`).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Contract, concat, JsonRpcProvider, Network, toBeHex } from 'ethers';
import { applyEvents } from '../../src/app/chain-follower';
import { indexFinal } from '../../src/board/indexer';
import { type CoreEvent, coreInterface, decodeEvent } from '../../src/chain/contract/events';
import { decodeLog, type RawLog } from '../../src/chain/contract/logs';
import type { ChainCursor } from '../../src/chain/reading/final-reader';
import { watchChain } from '../../src/chain/reading/poll-loop';
import { EndpointPool } from '../../src/chain/rpc/endpoint-pool';
import { Address } from '../../src/domain/ids';
import { systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { startAnvil } from '../../src/runner/anvil';
import { openStore, type Store } from '../../src/store/open';
import { openScratch } from '../../test/support/scratch';
import { type BenchRow, median, printReport, rowOf } from './report';

const CHAIN_ID = 31337;
const RUNS = 3;
const BLOCKS = 1000;
const WINDOW_BLOCKS = 50;
/** An address without a contract, where the emitter is put. */
const EMITTER = Address.parse(`0x${'e0'.repeat(20)}`);
const ETHERS = 'ethers, Contract.queryFilter';
const BARE = 'bare fetch, JSON.parse, nothing decoded';

interface Window {
  fromBlock: number;
  toBlock: number;
}
/** Reads a window and returns the number of its events. */
type ReadWindow = (window: Window) => Promise<number>;
/** Reads everything and returns the number of events. */
type ReadAll = () => Promise<number>;

interface SolcOutput {
  contracts: Record<string, Record<string, { evm: { deployedBytecode: { object: string } } }>>;
}

function compileEmitter(): string {
  const solc = require('solc') as { compile(input: string): string };
  const input = {
    language: 'Solidity',
    sources: { 'Emitter.sol': { content: readFileSync(join(__dirname, 'Emitter.sol'), 'utf8') } },
    settings: { outputSelection: { '*': { '*': ['evm.deployedBytecode.object'] } } },
  };
  const { contracts } = JSON.parse(solc.compile(JSON.stringify(input))) as SolcOutput;
  return `0x${contracts['Emitter.sol']?.Emitter?.evm.deployedBytecode.object}`;
}

const sizes = { dataset: 46, params: 60, result: 46 };

/** Returns the n-th event for the emitter: a job's request, its start, its result and a payment, in turns. */
function eventCalldata(n: number): string {
  const names = ['JobRequested', 'JobProcessing', 'JobSubmitted', 'WorkerPaid'];
  const fragment = coreInterface.getEvent(names[n % names.length] ?? '');
  if (!fragment) throw new Error('The contract has no such event');
  const values = fragment.inputs.map(({ name, type }) => {
    if (type === 'string') return `${name} ${n} `.padEnd(sizes[name as keyof typeof sizes] ?? 0, 'x');
    if (type === 'address') return toBeHex(2n ** 159n + BigInt(n), 20);
    if (type === 'bytes16') return toBeHex(2n ** 127n + BigInt(Math.floor(n / names.length)), 16);
    return type === 'bytes32' ? toBeHex(2n ** 255n + BigInt(n), 32) : n % 200;
  });
  const { data, topics } = coreInterface.encodeEventLog(fragment, values);
  return concat([toBeHex((data.length - 2) / 2, 32), ...(topics as string[]), data]);
}

/** Writes this many events, spread evenly over the blocks. Returns the windows to read them in. */
async function writeEvents(provider: JsonRpcProvider, events: number): Promise<Window[]> {
  await provider.send('anvil_setCode', [EMITTER, compileEmitter()]);
  const [from] = (await provider.send('eth_accounts', [])) as string[];
  // By default anvil answers before it has mined, and transactions sent meanwhile may share a block.
  await provider.send('evm_setAutomine', [false]);
  for (let block = 0; block < BLOCKS; block++) {
    const [first, end] = [block, block + 1].map((b) => Math.floor((b * events) / BLOCKS)) as [number, number];
    const data = concat(Array.from({ length: end - first }, (_, i) => eventCalldata(first + i)));
    await provider.send('eth_sendTransaction', [{ from, to: EMITTER, data, gas: toBeHex(29_000_000) }]);
    await provider.send('evm_mine', []);
  }
  const head = await provider.getBlockNumber();
  if (head !== BLOCKS) throw new Error(`anvil mined ${head} blocks instead of ${BLOCKS}`);
  return Array.from({ length: BLOCKS / WINDOW_BLOCKS }, (_, i) => ({
    fromBlock: i * WINDOW_BLOCKS + 1,
    toBlock: (i + 1) * WINDOW_BLOCKS,
  }));
}

function filterOf({ fromBlock, toBlock }: Window) {
  return { address: EMITTER, fromBlock: `0x${fromBlock.toString(16)}`, toBlock: `0x${toBlock.toString(16)}` };
}

async function fetchLogs(url: string, window: Window): Promise<RawLog[]> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_getLogs', params: [filterOf(window)] }),
  });
  return (JSON.parse(await response.text()) as { result: RawLog[] }).result;
}

function decodeAll(logs: readonly RawLog[]): number {
  return logs.flatMap((log) => decodeLog(log) ?? []).length;
}

/** Ways of reading windows, by name; rows that read from memory are loaded beforehand. */
async function openWindowReaders(url: string, provider: JsonRpcProvider, windows: readonly Window[]) {
  const contract = new Contract(EMITTER, coreInterface, provider);
  const loaded = new Map<Window, RawLog[]>();
  for (const window of windows) loaded.set(window, await fetchLogs(url, window));
  const readers: Record<string, ReadWindow> = {
    [ETHERS]: async ({ fromBlock, toBlock }) => (await contract.queryFilter('*', fromBlock, toBlock)).length,
    'ethers’ getLogs, own decoder': async ({ fromBlock, toBlock }) => {
      const logs = await provider.getLogs({ address: EMITTER, fromBlock, toBlock });
      return logs.flatMap((log) => decodeEvent(log) ?? []).length;
    },
    'ethers’ send, own decoder': async (window) => decodeAll(await provider.send('eth_getLogs', [filterOf(window)])),
    'fetch, own decoder': async (window) => decodeAll(await fetchLogs(url, window)),
    [BARE]: async (window) => (await fetchLogs(url, window)).length,
    'own decoder alone, from memory': async (window) => decodeAll(loaded.get(window) ?? []),
  };
  return readers;
}

/** Ways of reading everything, by name. */
async function openReaders(url: string, provider: JsonRpcProvider, windows: readonly Window[], events: number) {
  const byWindows = Object.entries(await openWindowReaders(url, provider, windows));
  const readers: Record<string, ReadAll> = Object.fromEntries(
    byWindows.map(([name, read]) => [name, () => readEach(windows, read)]),
  );
  const whole = { fromBlock: 1, toBlock: BLOCKS };
  return {
    ...readers,
    'bare fetch of all blocks in one range': async () => (await fetchLogs(url, whole)).length,
    'bare fetch of all blocks in one range, twice': async () => {
      const [first] = [await fetchLogs(url, whole), await fetchLogs(url, whole)];
      return first.length;
    },
    'watchChain, nothing kept': () => watch(url, events, async () => undefined),
    'watchChain, board index in SQLite': () => watchIntoStore(url, events, indexFinal),
    'watchChain, jobs and board index in SQLite, as a master': () => watchIntoStore(url, events, indexAsMaster),
  };
}

async function readEach(windows: readonly Window[], read: ReadWindow): Promise<number> {
  let seen = 0;
  for (const window of windows) seen += await read(window);
  return seen;
}

type Take = (events: readonly CoreEvent[], cursor: ChainCursor) => Promise<void>;

/**
 * Runs the poll loop until it has returned this many events. Rethrows a failure of `onFinal`, which the loop
 * would retry for ever.
 */
async function watch(url: string, events: number, take: Take): Promise<number> {
  const endpoints = await EndpointPool.open({ endpoint: url });
  const stop = new AbortController();
  let seen = 0;
  let failure: unknown;
  const onFinal: Take = async (batch, cursor) => {
    try {
      await take(batch, cursor);
      seen += batch.length;
    } catch (error) {
      failure = error;
    }
    if (failure || seen >= events) stop.abort();
  };
  const deps = { chain: { core: EMITTER, endpoints }, clock: systemClock, logger: silentLogger };
  try {
    const options = { confirmations: 0, pollMs: 10, fromBlock: 1 };
    await watchChain(options, { ...deps, loadCursors: async () => ({}), onFinal }, stop.signal);
  } finally {
    endpoints.close();
  }
  if (failure) throw failure;
  return seen;
}

type Index = (tx: Store, events: readonly CoreEvent[], cursor: ChainCursor) => Promise<void>;

/** Stores like a master: each batch and the cursor in one transaction. */
async function watchIntoStore(url: string, events: number, index: Index): Promise<number> {
  await using scratch = await openScratch();
  await using store = await openStore({ kind: 'sqlite', path: scratch.file('bench.sqlite') });
  // The store must stay open until the end.
  return await watch(url, events, (batch, cursor) =>
    store.transaction(async (tx) => {
      await index(tx, batch, cursor);
      await tx.cursors.save('bench', cursor);
    }),
  );
}

const indexAsMaster: Index = async (tx, events, cursor) => {
  await applyEvents(tx, events);
  await indexFinal(tx, events, cursor);
};

async function measure(read: ReadAll, events: number): Promise<number> {
  const start = performance.now();
  const seen = await read();
  const seconds = (performance.now() - start) / 1000;
  if (seen !== events) throw new Error(`${seen} events were read of ${events}`);
  return events / seconds;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '50000' },
      only: { type: 'string', default: '' },
    },
  });
  const events = Number(values.events);
  await using anvil = await startAnvil();
  const network = Network.from(CHAIN_ID);
  const provider = new JsonRpcProvider(anvil.url, network, {
    staticNetwork: network,
    batchMaxCount: 1,
    cacheTimeout: -1,
  });
  const windows = await writeEvents(provider, events);
  const all = Object.entries(await openReaders(anvil.url, provider, windows, events));
  const readers = all.filter(([name]) => name.includes(values.only));
  const speeds = new Map<string, number[]>(readers.map(([name]) => [name, []]));
  for (let run = 0; run < RUNS; run++) {
    // Every other run goes backwards, so that no row always follows the same one.
    for (const [name, read] of run % 2 === 0 ? readers : readers.toReversed()) {
      const speed = await measure(read, events);
      speeds.get(name)?.push(speed);
      // A run takes minutes.
      console.error(`${run + 1} of ${RUNS}: ${name}: ${speed.toFixed(0)} events/s`);
    }
  }
  provider.destroy();
  printReport(rowsOf(speeds), { events, blocks: BLOCKS, windowBlocks: WINDOW_BLOCKS });
}

/** Our ways of reading everything beside each of the two that others have. */
function rowsOf(speeds: ReadonlyMap<string, readonly number[]>): BenchRow[] {
  const speedOf = (name: string) => median(speeds.get(name) ?? []);
  const own = [...speeds.keys()].filter((name) => name.startsWith('watchChain'));
  return own.flatMap((name) =>
    [ETHERS, BARE]
      .filter((other) => speeds.has(other))
      .map((other) =>
        rowOf({ name: `${name} ÷ ${other}`, bar: '', ours: speedOf(name), theirs: speedOf(other), unit: 'events/s' }),
      ),
  );
}

void main();
