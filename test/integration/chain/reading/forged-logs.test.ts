/** The watcher reading from nodes that leave out, forge or refuse logs: no event is lost or doubled. */
import { type Chain, openChain } from '../../../../src/chain/rpc/client';
import { systemClock } from '../../../../src/lib/clock';
import { silentLogger } from '../../../../src/lib/logger';
import { ChainReader, until } from '../../../support/chain-reader';
import { coreInterface, type Escrow, openEscrow } from '../../../support/escrow';
import { type ForgingNode, type NodeFault, openForgingNode, WIDE } from '../../../support/forging-node';

let escrow: Escrow;
let chain: Chain;
let first: ForgingNode;
let second: ForgingNode;

beforeAll(async () => {
  escrow = await openEscrow();
  const endpoint = escrow.provider._getConnection().url;
  chain = await openChain({ endpoint, core: escrow.core, token: escrow.token });
  [first, second] = await Promise.all([openForgingNode(endpoint), openForgingNode(endpoint)]);
});

beforeEach(async () => {
  await escrow.reset();
  await Promise.all([first.setFault(), second.setFault()]);
});

afterAll(async () => {
  await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
  await chain[Symbol.asyncDispose]();
  await escrow[Symbol.asyncDispose]();
});

const open = (...nodes: ForgingNode[]) => openFor({ answerMs: 500, recoverMs: 50 }, ...nodes);

/**
 * Keeps an unhealthy node unused for longer than reading a few blocks takes: if a node that forges forever
 * were asked again in the middle of every attempt, reading would never end. The long timeout keeps a slow
 * machine from making the node look unhealthy before it forges anything.
 */
const PATIENT = { answerMs: 30_000, recoverMs: 15_000 };

const openFor = (patience: { answerMs: number; recoverMs: number }, ...nodes: ForgingNode[]) =>
  openChain({ endpoint: nodes.map(({ url }) => url), core: escrow.core, token: escrow.token, ...patience });

const logFaults: readonly NodeFault[] = [
  'empty',
  'truncated',
  'duplicated',
  'shuffled',
  'strays',
  'removed',
  'lagging',
  'stale',
];
const outages: readonly NodeFault[] = ['failing', 'garbled', 'hanging', 'dead'];

describe('one endpoint with a temporary fault', () => {
  test.each([...logFaults, ...outages])('%s while following the head: no event is missed or doubled', async (fault) => {
    await using proxied = await open(first);
    const reader = new ChainReader(proxied).startTentative({ confirmations: 2 });
    await escrow.request();
    await untilHead(reader);
    await first.setFault(fault);
    await makeEvents();
    await until(() => first.faults >= 2);
    await systemClock.sleep(50);
    await first.setFault();
    await escrow.request();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await expectedIdentities());
  });

  test.each(logFaults)('%s in mid back-fill: no event is missed or doubled', async (fault) => {
    const fromBlock = await firstBlock();
    await makeEvents();
    await mine(150);
    await makeEvents();
    await using proxied = await open(first);
    const reader = new ChainReader(proxied).start({ fromBlock });
    await until(() => reader.final !== undefined);
    await first.setFault(fault);
    await makeEvents();
    await until(() => first.faults >= 2);
    await systemClock.sleep(50);
    await first.setFault();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await expectedIdentities());
  });

  test('pause requested: not asked during it, and nothing is missed', async () => {
    await using proxied = await open(first);
    await first.setFault('busy');
    await makeEvents();
    const reader = new ChainReader(proxied).start();
    await until(() => first.faults === 1);
    await systemClock.sleep(300);
    expect(first.faults).toBe(1);
    await first.setFault();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await expectedIdentities());
  });

  test('truncated answers to wide ranges: no event is accepted', async () => {
    const fromBlock = await firstBlock();
    await makeEvents();
    await mine(100);
    await makeEvents();
    await mine(100);
    await using proxied = await open(first);
    await first.setFault('truncated');
    const reader = new ChainReader(proxied).start({ fromBlock });
    await until(() => first.faults >= 10);
    expect(identities(reader)).toEqual([]);
    await first.setFault();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await expectedIdentities());
  });

  test('log index lost: an empty range is refused once known logs are missing too', async () => {
    await makeEvents();
    await using proxied = await open(first);
    const reader = new ChainReader(proxied).start({ confirmations: 70 });
    await mine(71);
    await untilHead(reader, (await chain.headBlock()) - 70);
    const known = identities(reader).length;
    await first.setFault('empty');
    await makeEvents();
    await mine(200);
    await until(() => first.faults >= 10);
    expect(reader.finals).toHaveLength(known);
    await first.setFault();
    const final = (await chain.headBlock()) - 70;
    await untilHead(reader, final);
    await reader.stop();
    expect(identities(reader)).toEqual(await expectedIdentities(final));
  });

  test.each(['empty', 'lagging', 'holey'] as const)(
    '%s from the start of a wide back-fill: events are complete in the end',
    async (fault) => {
      const fromBlock = await firstBlock();
      await first.setFault(fault);
      await makeEvents();
      await mine(150);
      await makeEvents();
      await mine(80);
      await using proxied = await open(first);
      const reader = new ChainReader(proxied).start({ fromBlock });
      await until(() => first.faults >= 10);
      await first.setFault();
      await untilHead(reader);
      await reader.stop();
      expect(identities(reader)).toEqual(await expectedIdentities());
    },
  );

  test('empty after a restart in mid back-fill: later events are still found', async () => {
    await makeEvents();
    await using proxied = await open(first);
    const before = new ChainReader(proxied).start();
    await untilHead(before);
    await before.stop();
    await first.setFault('empty');
    await mine(150);
    await makeEvents();
    await mine(80);
    const after = new ChainReader(proxied).start({}, { loadCursors: async () => ({ final: before.final }) });
    await until(() => first.faults >= 10);
    await first.setFault();
    await untilHead(after);
    await after.stop();
    expect([...identities(before), ...identities(after)]).toEqual(await expectedIdentities());
  });

  test('empty over more blocks than are sampled: the missing deployment logs show it', async () => {
    const [constructed] = await escrow.provider.getLogs({ address: escrow.core, fromBlock: 0 });
    await makeEvents();
    await mine(1000);
    await using proxied = await open(first);
    await first.setFault('empty');
    const reader = new ChainReader(proxied).start({ fromBlock: constructed?.blockNumber });
    await until(() => first.faults >= 3);
    expect(reader.finals).toEqual([]);
    await first.setFault();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await expectedIdentities());
  });

  test("lagging over more blocks than are sampled: other contracts' logs expose it", async () => {
    const fromBlock = await firstBlock();
    await makeEvents();
    await first.setFault('lagging');
    await mine(450);
    await makeEvents();
    await mine(450);
    for (let i = 0; i < 20; i += 1) await escrow.sendToken('other', 'approve', escrow.address.stranger, i);
    await mine(64);
    await using proxied = await open(first);
    const reader = new ChainReader(proxied).start({ fromBlock });
    await until(() => first.faults >= 3);
    await first.setFault();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await expectedIdentities());
  });

  test('empty, and receipts refused at first: empty ranges are not accepted', async () => {
    await using node = await openForgingNode(escrow.provider._getConnection().url);
    await using proxied = await open(node);
    const fromBlock = await firstBlock();
    await makeEvents();
    await node.setFault('mute');
    const reader = new ChainReader(proxied).start({ fromBlock });
    await until(() => node.faults >= 20 || reader.final !== undefined);
    await node.setFault();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await expectedIdentities());
  });

  test('final block replaced: asked again before a reorganisation is reported', async () => {
    await makeEvents();
    await using proxied = await open(first);
    const reader = new ChainReader(proxied).start({ pollMs: 50 });
    await untilHead(reader);
    await first.setFault('wrong-hash');
    await makeEvents();
    await until(() => first.faults >= 2);
    await first.setFault();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await expectedIdentities());
  });
});

describe('two endpoints, the first one faulty', () => {
  test.each(['empty', 'truncated', 'lagging'] as const)(
    '%s from the start: events they disagree about are not accepted',
    async (fault) => {
      const fromBlock = await firstBlock();
      await first.setFault(fault);
      await makeEvents();
      await mine(150);
      await using proxied = await open(first, second);
      const reader = new ChainReader(proxied).start({ fromBlock });
      // While the first is unused for its forged answers, the second may be read to the end.
      const head = await chain.headBlock();
      await until(() => first.faults >= 5 || reader.final?.number === head);
      expect(await expectedIdentities()).toEqual(expect.arrayContaining(identities(reader)));
      await first.setFault();
      await untilHead(reader);
      await reader.stop();
      expect(identities(reader)).toEqual(await expectedIdentities());
    },
  );

  test.each(['stale', 'failing', 'garbled', 'hanging', 'dead', 'busy', 'strays', 'removed', 'wrong-hash'] as const)(
    '%s forever after a healthy start: the second is read',
    async (fault) => {
      await makeEvents();
      const patience = fault === 'hanging' ? { ...PATIENT, answerMs: 5000 } : PATIENT;
      await using proxied = await openFor(patience, first, second);
      // The block that `wrong-hash` forges must be the reader's last final one.
      const reader = new ChainReader(proxied).startTentative({ confirmations: fault === 'wrong-hash' ? 0 : 1 });
      await untilHead(reader);
      await first.setFault(fault);
      await mine(8);
      await makeEvents();
      await untilHead(reader);
      await reader.stop();
      expect(first.faults).toBeGreaterThan(0);
      expect(identities(reader)).toEqual(await expectedIdentities());
    },
  );

  test('a few blocks behind: the second reading waits for it or does without', async () => {
    await using proxied = await openFor(PATIENT, second, first);
    const reader = new ChainReader(proxied).start();
    await makeEvents();
    await untilHead(reader);
    await first.setFault('stale');
    await makeEvents();
    await untilHead(reader);
    await reader.stop();
    expect(first.faults).toBeGreaterThan(0);
    expect(identities(reader)).toEqual(await expectedIdentities());
  });

  test('empty from the start while the second is away: no block is accepted', async () => {
    const fromBlock = await firstBlock();
    await makeEvents();
    await mine(150);
    await using proxied = await open(first, second);
    await Promise.all([first.setFault('empty'), second.setFault('dead')]);
    const reader = new ChainReader(proxied).start({ fromBlock });
    await until(() => first.faults >= 10);
    expect(reader.events).toEqual([]);
    await first.setFault();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await expectedIdentities());
  });
});

describe('an endpoint that refuses ranges of more than 30 blocks', () => {
  test.each(['wide-error', 'wide-413', 'wide-504', 'wide-cut'] as const)(
    'refused by %s: narrower ranges, wider again later, nothing is skipped',
    async (fault) => {
      const fromBlock = await firstBlock();
      await makeEvents();
      await mine(300);
      await makeEvents();
      await using proxied = await open(first);
      await first.setFault(fault);
      const reader = new ChainReader(proxied).start({ fromBlock });
      await untilHead(reader);
      expect(first.faults).toBeGreaterThan(0);
      // A reader that follows the head while blocks are mined would need no wide ranges.
      await first.setFault('stale');
      const asked = first.filters.length;
      await mine(400);
      await makeEvents();
      await first.setFault();
      await untilHead(reader);
      await reader.stop();
      expect(identities(reader)).toEqual(await expectedIdentities());
      expect(Math.max(...first.filters.slice(asked).map(widthOf))).toBeGreaterThan(WIDE);
    },
  );
});

describe('logging', () => {
  test('node away for many polls: one line in the log', async () => {
    await using proxied = await open(first);
    const lines: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void lines.push(message) };
    await first.setFault('dead');
    const reader = new ChainReader(proxied).start({ pollMs: 1 }, {}, logger);
    await until(() => first.faults > 20);
    await reader.stop();
    expect(lines).toEqual(['Chain could not be read; trying again']);
  });
});

/** Mines blocks with one event each, an empty block, and a block with three events. */
async function makeEvents(): Promise<void> {
  const jobId = await escrow.request();
  await escrow.send('requester', 'cancel', jobId);
  await mine(1);
  const jobs = [await escrow.request(), await escrow.request(), await escrow.request()];
  await escrow.provider.send('evm_setAutomine', [false]);
  for (const id of jobs) await cancelLater(id);
  await escrow.provider.send('evm_setAutomine', [true]);
  await mine(1);
}

async function cancelLater(jobId: string): Promise<void> {
  const { requester: from } = escrow.address;
  const data = coreInterface.encodeFunctionData('cancel', [jobId]);
  await escrow.provider.send('eth_sendTransaction', [{ from, to: escrow.core, data, gas: '0x100000' }]);
}

const widthOf = ({ fromBlock, toBlock }: Record<string, string>) =>
  fromBlock ? Number(toBlock) - Number(fromBlock) + 1 : 1;
const mine = (blocks: number) => escrow.provider.send('anvil_mine', [`0x${blocks.toString(16)}`]);
const firstBlock = async () => (await chain.headBlock()) + 1;

async function expectedIdentities(to?: number): Promise<string[]> {
  const events = await chain.events(0, to ?? (await chain.headBlock()));
  return events.map(({ type, jobId, blockHash, logIndex }) => `${type} ${jobId} ${blockHash}:${logIndex}`);
}

function identities(reader: ChainReader): string[] {
  return reader.events.map(({ type, jobId, blockHash, logIndex }) => `${type} ${jobId} ${blockHash}:${logIndex}`);
}

async function untilHead(reader: ChainReader, final?: number): Promise<void> {
  const number = final ?? (await chain.headBlock());
  const hash = await chain.blockHash(number);
  await until(() => reader.tentative?.hash === hash || (reader.final?.number ?? -1) >= number);
}
