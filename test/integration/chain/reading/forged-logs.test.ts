import { type Chain, openChain } from '../../../../src/chain/rpc/client';
import { systemClock } from '../../../../src/lib/clock';
import { silentLogger } from '../../../../src/lib/logger';
import { ChainReader, until } from '../../../support/chain-reader';
import { coreInterface, type Escrow, openEscrow } from '../../../support/escrow';
import { type Lie, type LyingNode, openLyingNode, WIDE } from '../../../support/forging-node';

let escrow: Escrow;
let chain: Chain;
let first: LyingNode;
let second: LyingNode;

beforeAll(async () => {
  escrow = await openEscrow();
  const endpoint = escrow.provider._getConnection().url;
  chain = await openChain({ endpoint, core: escrow.core, token: escrow.token });
  [first, second] = await Promise.all([openLyingNode(endpoint), openLyingNode(endpoint)]);
});

beforeEach(async () => {
  await escrow.reset();
  await Promise.all([first.lie(), second.lie()]);
});

afterAll(async () => {
  await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
  await chain[Symbol.asyncDispose]();
  await escrow[Symbol.asyncDispose]();
});

const open = (...nodes: LyingNode[]) => openFor({ answerMs: 500, recoverMs: 50 }, ...nodes);

/**
 * A node in trouble is left alone for longer than a few blocks take to read: if one that lies for ever were asked again in the midst
 * of them each time, that would never end. So it must not seem to be in trouble before it lies, however slow the machine.
 */
const PATIENT = { answerMs: 30_000, recoverMs: 15_000 };

const openFor = (patience: { answerMs: number; recoverMs: number }, ...nodes: LyingNode[]) =>
  openChain({ endpoint: nodes.map(({ url }) => url), core: escrow.core, token: escrow.token, ...patience });

const aboutLogs: readonly Lie[] = [
  'empty',
  'truncated',
  'duplicated',
  'shuffled',
  'strays',
  'removed',
  'lagging',
  'stale',
];
const troubles: readonly Lie[] = ['failing', 'garbled', 'hanging', 'dead'];

describe('one endpoint, which for a while', () => {
  test.each([...aboutLogs, ...troubles])('is %s: no event is missed or doubled', async (lie) => {
    await using proxied = await open(first);
    const reader = new ChainReader(proxied).startTentative({ confirmations: 2 });
    await escrow.request();
    await untilHead(reader);
    await first.lie(lie);
    await makeEvents();
    await until(() => first.lies >= 2);
    await systemClock.sleep(50);
    await first.lie();
    await escrow.request();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await truth());
  });

  test.each(aboutLogs)('is %s in mid back-fill: no event is missed or doubled', async (lie) => {
    const fromBlock = await firstBlock();
    await makeEvents();
    await mine(150);
    await makeEvents();
    await using proxied = await open(first);
    const reader = new ChainReader(proxied).start({ fromBlock });
    await until(() => reader.final !== undefined);
    await first.lie(lie);
    await makeEvents();
    await until(() => first.lies >= 2);
    await systemClock.sleep(50);
    await first.lie();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await truth());
  });

  test('wants to be left alone: is left alone for that long, and nothing is missed', async () => {
    await using proxied = await open(first);
    await first.lie('busy');
    await makeEvents();
    const reader = new ChainReader(proxied).start();
    await until(() => first.lies === 1);
    await systemClock.sleep(300);
    expect(first.lies).toBe(1);
    await first.lie();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await truth());
  });

  test('cuts the answers to wide ranges: ranges of this width are not believed', async () => {
    const fromBlock = await firstBlock();
    await makeEvents();
    await mine(100);
    await makeEvents();
    await mine(100);
    await using proxied = await open(first);
    await first.lie('truncated');
    const reader = new ChainReader(proxied).start({ fromBlock });
    await until(() => first.lies >= 10);
    expect(identities(reader)).toEqual([]);
    await first.lie();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await truth());
  });

  test('has lost its index: an empty range is not believed when known logs are gone as well', async () => {
    await makeEvents();
    await using proxied = await open(first);
    const reader = new ChainReader(proxied).start({ confirmations: 70 });
    await mine(71);
    await untilHead(reader, (await chain.headBlock()) - 70);
    const known = identities(reader).length;
    await first.lie('empty');
    await makeEvents();
    await mine(200);
    await until(() => first.lies >= 10);
    expect(reader.finals).toHaveLength(known);
    await first.lie();
    const final = (await chain.headBlock()) - 70;
    await untilHead(reader, final);
    await reader.stop();
    expect(identities(reader)).toEqual(await truth(final));
  });

  test.each(['empty', 'lagging', 'holey'] as const)(
    'is %s from the start of a wide back-fill: nothing of it is believed',
    async (lie) => {
      const fromBlock = await firstBlock();
      await first.lie(lie);
      await makeEvents();
      await mine(150);
      await makeEvents();
      await mine(80);
      await using proxied = await open(first);
      const reader = new ChainReader(proxied).start({ fromBlock });
      await until(() => first.lies >= 10);
      await first.lie();
      await untilHead(reader);
      await reader.stop();
      expect(identities(reader)).toEqual(await truth());
    },
  );

  test('is empty after a restart in mid back-fill: what it had is still missed', async () => {
    await makeEvents();
    await using proxied = await open(first);
    const before = new ChainReader(proxied).start();
    await untilHead(before);
    await before.stop();
    await first.lie('empty');
    await mine(150);
    await makeEvents();
    await mine(80);
    const after = new ChainReader(proxied).start({}, { loadCursors: async () => ({ final: before.final }) });
    await until(() => first.lies >= 10);
    await first.lie();
    await untilHead(after);
    await after.stop();
    expect([...identities(before), ...identities(after)]).toEqual(await truth());
  });

  test('is empty over far more blocks than are looked at: misses the logs of the deployment', async () => {
    const [constructed] = await escrow.provider.getLogs({ address: escrow.core, fromBlock: 0 });
    await makeEvents();
    await mine(1000);
    await using proxied = await open(first);
    await first.lie('empty');
    const reader = new ChainReader(proxied).start({ fromBlock: constructed?.blockNumber });
    await until(() => first.lies >= 3);
    expect(reader.finals).toEqual([]);
    await first.lie();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await truth());
  });

  test("lags behind over far more blocks than are looked at: is found out by others' logs", async () => {
    const fromBlock = await firstBlock();
    await makeEvents();
    await first.lie('lagging');
    await mine(450);
    await makeEvents();
    await mine(450);
    for (let i = 0; i < 20; i += 1) await escrow.sendToken('other', 'approve', escrow.address.stranger, i);
    await mine(64);
    await using proxied = await open(first);
    const reader = new ChainReader(proxied).start({ fromBlock });
    await until(() => first.lies >= 3);
    await first.lie();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await truth());
  });

  test('is empty, and too busy for receipts at first: that is no reason to believe it', async () => {
    await using node = await openLyingNode(escrow.provider._getConnection().url);
    await using proxied = await open(node);
    const fromBlock = await firstBlock();
    await makeEvents();
    await node.lie('mute');
    const reader = new ChainReader(proxied).start({ fromBlock });
    await until(() => node.lies >= 20 || reader.final !== undefined);
    await node.lie();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await truth());
  });

  test('has another block in the place of a final one: is asked again before that is believed', async () => {
    await makeEvents();
    await using proxied = await open(first);
    const reader = new ChainReader(proxied).start({ pollMs: 50 });
    await untilHead(reader);
    await first.lie('wrong-hash');
    await makeEvents();
    await until(() => first.lies >= 2);
    await first.lie();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await truth());
  });
});

describe('two endpoints, the first of which', () => {
  test.each(['empty', 'truncated', 'lagging'] as const)(
    'is %s from the start: what they disagree about is not taken over',
    async (lie) => {
      const fromBlock = await firstBlock();
      await first.lie(lie);
      await makeEvents();
      await mine(150);
      await using proxied = await open(first, second);
      const reader = new ChainReader(proxied).start({ fromBlock });
      // While the first is left alone for its lies, the second may be read to the end.
      const head = await chain.headBlock();
      await until(() => first.lies >= 5 || reader.final?.number === head);
      expect(await truth()).toEqual(expect.arrayContaining(identities(reader)));
      await first.lie();
      await untilHead(reader);
      await reader.stop();
      expect(identities(reader)).toEqual(await truth());
    },
  );

  test.each(['stale', 'failing', 'garbled', 'hanging', 'dead', 'busy', 'strays', 'removed', 'wrong-hash'] as const)(
    'is %s from some time on for ever: the second is read',
    async (lie) => {
      await makeEvents();
      const patience = lie === 'hanging' ? { ...PATIENT, answerMs: 5000 } : PATIENT;
      await using proxied = await openFor(patience, first, second);
      // The block that `wrong-hash` lies about must be the reader's last final one.
      const reader = new ChainReader(proxied).startTentative({ confirmations: lie === 'wrong-hash' ? 0 : 1 });
      await untilHead(reader);
      await first.lie(lie);
      await mine(8);
      await makeEvents();
      await untilHead(reader);
      await reader.stop();
      expect(first.lies).toBeGreaterThan(0);
      expect(identities(reader)).toEqual(await truth());
    },
  );

  test('is behind by a few blocks: the second reading waits for it or does without', async () => {
    await using proxied = await openFor(PATIENT, second, first);
    const reader = new ChainReader(proxied).start();
    await makeEvents();
    await untilHead(reader);
    await first.lie('stale');
    await makeEvents();
    await untilHead(reader);
    await reader.stop();
    expect(first.lies).toBeGreaterThan(0);
    expect(identities(reader)).toEqual(await truth());
  });

  test('is empty from the start while the second is away: nothing is believed', async () => {
    const fromBlock = await firstBlock();
    await makeEvents();
    await mine(150);
    await using proxied = await open(first, second);
    await Promise.all([first.lie('empty'), second.lie('dead')]);
    const reader = new ChainReader(proxied).start({ fromBlock });
    await until(() => first.lies >= 10);
    expect(reader.events).toEqual([]);
    await first.lie();
    await untilHead(reader);
    await reader.stop();
    expect(identities(reader)).toEqual(await truth());
  });
});

describe('an endpoint that refuses ranges of more than 30 blocks', () => {
  test.each(['wide-error', 'wide-413', 'wide-504', 'wide-cut'] as const)(
    'by %s: narrower ones are asked for, wider ones again later, and nothing is skipped',
    async (lie) => {
      const fromBlock = await firstBlock();
      await makeEvents();
      await mine(300);
      await makeEvents();
      await using proxied = await open(first);
      await first.lie(lie);
      const reader = new ChainReader(proxied).start({ fromBlock });
      await untilHead(reader);
      expect(first.lies).toBeGreaterThan(0);
      // Whoever follows the head while it is mined needs no wide ranges.
      await first.lie('stale');
      const asked = first.filters.length;
      await mine(400);
      await makeEvents();
      await first.lie();
      await untilHead(reader);
      await reader.stop();
      expect(identities(reader)).toEqual(await truth());
      expect(Math.max(...first.filters.slice(asked).map(widthOf))).toBeGreaterThan(WIDE);
    },
  );
});

describe('a log that the node tells of at length', () => {
  test('a node that is away is a line in the log, not one each time', async () => {
    await using proxied = await open(first);
    const lines: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void lines.push(message) };
    await first.lie('dead');
    const reader = new ChainReader(proxied).start({ pollMs: 1 }, {}, logger);
    await until(() => first.lies > 20);
    await reader.stop();
    expect(lines).toEqual(['Chain could not be read; trying again']);
  });
});

/** Three blocks with events of ours, one of them with three, and one block without. */
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

async function truth(to?: number): Promise<string[]> {
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
