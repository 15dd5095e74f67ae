/** Life of a link after the handshake: heartbeats, cuts, replacement, floods, many workers. */
import { JobId } from '../../src/domain/ids';
import { AppError } from '../../src/lib/errors';
import { openChaosProxy } from '../support/chaos-proxy';
import { newWallet, OFFER, openTestClient, openTestServer, until } from '../support/link-pair';
import { openProvenLink } from '../support/raw-link';
import { blobName } from '../support/worker-messages';

const JOB = `0x${'1'.repeat(32)}`;

/** Heartbeats under the test's control, because a busy machine may be too slow for real ones. */
function controlHeartbeats() {
  const others = ['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'setTimeout'] as const;
  jest.useFakeTimers({ doNotFake: [...others] });
  return { pass: (ms: number) => jest.advanceTimersByTime(ms), [Symbol.dispose]: () => void jest.useRealTimers() };
}

/** Both ends with a proxy between them. */
async function openPair(heartbeatMs: number) {
  const server = await openTestServer({ heartbeatMs });
  const proxy = await openChaosProxy(server.port);
  const client = await openTestClient(`ws://127.0.0.1:${proxy.port}/link`);
  return {
    server,
    proxy,
    client,
    peer: await server.peer(client.wallet.address),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

test('idle link: heartbeats keep it open', async () => {
  using beats = controlHeartbeats();
  await using pair = await openPair(100);
  await until(() => pair.client.link.connected);
  for (let beat = 0; beat < 8; beat++) {
    const passed = pair.proxy.passed.toServer;
    beats.pass(100);
    await until(() => pair.proxy.passed.toServer > passed);
  }
  expect(pair.server.connects.length).toBe(1);
  expect(pair.client.closes).toEqual([]);
});

test('cut: the worker reconnects and offers the lease it holds now', async () => {
  const held = { jobId: JobId.parse(JOB), leaseId: 'lease-1' };
  await using server = await openTestServer();
  await using proxy = await openChaosProxy(server.port);
  let connections = 0;
  const offer = () => (++connections === 1 ? OFFER : { ...OFFER, held });
  await using client = await openTestClient(`ws://127.0.0.1:${proxy.port}/link`, {}, { offer });
  const first = await server.peer(client.wallet.address);
  await until(() => client.link.connected);
  proxy.cut();
  await until(() => server.connects.length === 2);
  expect(server.connects[1]?.offer.held).toEqual(held);
  expect(server.closes.map(({ peer }) => peer)).toEqual([first]);
  await until(() => client.welcomes.length === 2);
});

test('master restarts on the same port: the worker reconnects', async () => {
  const wallet = await newWallet();
  await using proxy = await openChaosProxy(1);
  await using client = await openTestClient(`ws://127.0.0.1:${proxy.port}/link`);
  for (let i = 1; i <= 2; i++) {
    await using server = await openTestServer({}, { wallet });
    proxy.target(server.port);
    await server.peer(client.wallet.address);
    await until(() => client.welcomes.length === i);
  }
  await until(() => !client.link.connected);
  expect(client.link.send({ type: 'job.ready', jobId: JOB })).toBe(false);
});

test('master gone again as soon as it was there, 16 times: pauses do not grow', async () => {
  await using server = await openTestServer();
  await using proxy = await openChaosProxy(server.port);
  // Doubled each time, the pauses would add up to five minutes.
  const backoffMs = { first: 10, last: 600_000 };
  await using client = await openTestClient(`ws://127.0.0.1:${proxy.port}/link`, { backoffMs });
  for (let i = 1; i <= 16; i++) {
    await until(() => client.welcomes.length >= i);
    proxy.cut();
  }
});

test.each(['toServer', 'toClient'] as const)('nothing arrives %s: both sides notice and reconnect', async (way) => {
  await using pair = await openPair(100);
  pair.proxy.set(way, { isSilent: true });
  const { reason } = await until(() => pair.server.closes[0]);
  expect(reason).toMatch(/nothing received for|closed with/);
  pair.proxy.set(way, {});
  await until(() => pair.server.link.peers.get(pair.client.wallet.address));
});

test('two machines with one key: the second is refused with the address of the first', async () => {
  await using server = await openTestServer();
  const wallet = await newWallet();
  await using first = await openTestClient(server.url, {}, { wallet });
  const peer = await server.peer(wallet.address);
  await until(() => first.link.connected);
  await using second = await openTestClient(server.url, {}, { wallet });
  // Refused twice, so that the first has been asked again after a refusal.
  await until(() => second.logger.codes.length === 2);
  expect(second.logger.codes).toEqual(['link/in-use', 'link/in-use']);
  expect(second.logger.lines[0]).toContain('is connected from 127.0.0.1 already');
  expect(server.link.peers.get(wallet.address)).toBe(peer);
  expect(first.closes).toEqual([]);

  await first[Symbol.asyncDispose]();
  await until(() => second.link.connected);
});

test('same worker connects again, its old socket is silent: the new one replaces it', async () => {
  await using server = await openTestServer({ answerMs: 50 });
  const wallet = await newWallet();
  // A raw link answers no heartbeat.
  using first = await openProvenLink(server.url, wallet);
  const old = await server.peer(wallet.address);
  using _second = await openProvenLink(server.url, wallet);
  expect((await first.refused()).code).toBe('link/replaced');
  expect(server.closes.map(({ peer }) => peer)).toEqual([old]);
  expect(server.link.peers.size).toBe(1);
  expect(server.link.peers.get(wallet.address)).not.toBe(old);
});

test('operator disconnects a worker: it gets the reason and returns after a pause', async () => {
  await using server = await openTestServer();
  await using client = await openTestClient(server.url, { refusedPauseMs: 200 });
  (await server.peer(client.wallet.address)).close('maintenance');
  await until(() => client.logger.codes.includes('link/disconnected'));
  expect(client.link.connected).toBe(false);
  await until(() => server.connects.length === 2);
});

test('worker stops: the master gets the reason', async () => {
  await using server = await openTestServer();
  {
    await using client = await openTestClient(server.url);
    await server.peer(client.wallet.address);
    await until(() => client.link.connected);
  }
  expect((await until(() => server.closes[0])).reason).toBe('the worker is stopping');
});

test('signal aborts: the worker hangs up and does not reconnect', async () => {
  await using server = await openTestServer();
  const stop = new AbortController();
  await using client = await openTestClient(server.url, {}, { signal: stop.signal });
  await until(() => client.link.connected);
  stop.abort(new Error('stop'));
  await until(() => server.closes.length === 1);
  expect(client.link.connected).toBe(false);
  await expect(client.link.pull({ sha256: blobName('a'), bytes: 1 })).rejects.toThrow('stop');
});

test('link ends: the handler gets whether it was ended for good', async () => {
  await using server = await openTestServer();
  const closes: boolean[] = [];
  const handlers = {
    onWelcome() {},
    onMessage() {},
    onClose: (_reason: string, isFinal: boolean) => void closes.push(isFinal),
  };
  {
    await using client = await openTestClient(server.url, {}, { handlers });
    (await server.peer(client.wallet.address)).close('maintenance');
    await until(() => server.connects.length === 2);
    await until(() => client.link.connected);
  }
  expect(closes).toEqual([false, true]);
});

test('flood of messages: the link is closed', async () => {
  using beats = controlHeartbeats();
  await using server = await openTestServer({ heartbeatMs: 1_000 });
  using link = await openProvenLink(server.url, await newWallet());
  const sendAll = async (count: number) => {
    for (let i = 1; i < count; i++) link.sendSealed({ type: 'pong', atMs: i });
    link.sendSealed({ type: 'job.ready', jobId: JOB });
    const received = server.messages.length;
    await until(() => server.messages.length > received || server.closes.length > 0);
  };
  await sendAll(10_000);
  beats.pass(1_000);
  await sendAll(10_000);
  expect(server.closes).toEqual([]);
  link.sendSealed({ type: 'pong', atMs: 0 });
  await until(() => server.closes.length === 1);
  expect(server.logger.codes).toEqual(['link/flood']);
});

test('200 workers connect at once: all are accepted', async () => {
  // These links send no heartbeats, and on a busy machine the last handshake may end long after the first.
  await using server = await openTestServer({ heartbeatMs: 60_000, handshakeMs: 60_000 });
  const links = await Promise.all(
    Array.from({ length: 200 }, async () => openProvenLink(server.url, await newWallet())),
  );
  expect(server.link.peers.size).toBe(200);
  for (const peer of server.link.peers.values()) peer.send({ type: 'lease.revoke', leaseId: 'l', reason: 'test' });
  for (const link of links) while ((await link.next()).type !== 'lease.revoke');
  for (const link of links) link.socket.terminate();
  await until(() => server.link.peers.size === 0);
});

test('pull while disconnected: waits for a connection', async () => {
  await using server = await openTestServer();
  await using proxy = await openChaosProxy(server.port);
  proxy.refuse(true);
  await using client = await openTestClient(`ws://127.0.0.1:${proxy.port}/link`);
  const blob = await server.blobs.addBytes(Buffer.from('hello'));
  const pulled = client.link.pull(blob);
  await until(() => client.logger.codes.includes('link/unreachable'));
  proxy.refuse(false);
  await pulled;
  expect(await client.blobs.stat(blob.sha256)).toEqual({ bytes: 5 });
});

test('disk full: the pull fails at once with that error', async () => {
  await using server = await openTestServer();
  const full = new AppError({ code: 'blobs/disk-full' }, 'The disk is full.');
  const blobs = {
    ...server.blobs,
    stat: async () => undefined,
    openReader: () => never(),
    openPart: async () => Promise.reject(full),
  };
  await using client = await openTestClient(server.url, {}, { blobs });
  await expect(client.link.pull({ sha256: blobName('a'), bytes: 1 })).rejects.toBe(full);
});

function never(): never {
  throw new Error('not reached');
}
