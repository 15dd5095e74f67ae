/** Handshakes over real sockets: the good one, and everything a stranger on either side may try. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { Address } from '../../src/domain/ids';
import { type Challenge, newNonce, signHello, type UnsignedHello } from '../../src/link/handshake';
import { ephemeralKey } from '../../src/link/seal';
import { MAX_CONTROL_BYTES, SUBPROTOCOL } from '../../src/protocol/link';
import { newWallet, OFFER, openTestClient, openTestServer, type TestServer, until } from '../support/link-pair';
import { encodeChunk, openProvenLink, openRawLink, type RawLink } from '../support/raw-link';
import { blobName } from '../support/worker-messages';

const MIB = 1024 * 1024;

async function unsignedHello(worker: Address): Promise<UnsignedHello> {
  const offer = { ...OFFER, version: '0.1.0' };
  return { type: 'hello', worker, nonce: newNonce(), key: ephemeralKey().publicKey, offer };
}

async function challengeOf(link: RawLink): Promise<Challenge> {
  const message = await link.next();
  if (message.type !== 'challenge') throw new Error(`${message.type} arrived instead of a challenge`);
  return message;
}

test('default: master and worker authenticate each other and exchange messages', async () => {
  await using server = await openTestServer();
  await using client = await openTestClient(server.url, { masterAddress: server.wallet.address });
  const peer = await server.peer(client.wallet.address);
  expect(peer).toMatchObject({ ip: '127.0.0.1', offer: { ...OFFER, version: '0.1.0' } });
  await until(() => client.welcomes[0] === server.wallet.address);
  client.link.send({ type: 'job.ready', jobId: `0x${'1'.repeat(32)}` });
  peer.send({ type: 'lease.revoke', leaseId: 'l', reason: 'test' });
  expect((await until(() => server.messages[0])).message.type).toBe('job.ready');
  expect((await until(() => client.messages[0])).type).toBe('lease.revoke');
  expect(client.pins).toEqual([]);
});

describe('impersonating a worker', () => {
  test('hello signed by another account: refused', async () => {
    await using server = await openTestServer();
    using link = await openRawLink(server.url);
    const challenge = await challengeOf(link);
    const hello = await unsignedHello((await newWallet()).address);
    link.send(await signHello(await newWallet(), challenge, hello));
    expect(await link.refused()).toEqual({ code: 'link/bad-signature', close: 1008 });
    expect(server.connects).toEqual([]);
  });

  test('recorded hello on another socket: refused', async () => {
    await using server = await openTestServer();
    const wallet = await newWallet();
    using first = await openRawLink(server.url);
    const hello = await signHello(wallet, await challengeOf(first), await unsignedHello(wallet.address));
    using second = await openRawLink(server.url);
    second.send(hello);
    expect(await second.refused()).toEqual({ code: 'link/bad-signature', close: 1008 });
  });

  test('recorded hello on the same socket: fails the seal', async () => {
    await using server = await openTestServer();
    const wallet = await newWallet();
    using link = await openRawLink(server.url);
    const hello = await signHello(wallet, await challengeOf(link), await unsignedHello(wallet.address));
    link.send(hello);
    expect((await link.next()).type).toBe('welcome');
    link.send(hello);
    await once(link.socket, 'close');
    expect(server.logger.codes).toEqual(['link/bad-seal']);
  });

  test('hello made for another master: refused', async () => {
    await using server = await openTestServer();
    await using other = await openTestServer();
    const wallet = await newWallet();
    using link = await openRawLink(server.url);
    using otherLink = await openRawLink(other.url);
    link.send(await signHello(wallet, await challengeOf(otherLink), await unsignedHello(wallet.address)));
    expect((await link.refused()).code).toBe('link/bad-signature');
  });

  test('offer changed in transit: refused', async () => {
    await using server = await openTestServer();
    const wallet = await newWallet();
    using link = await openRawLink(server.url);
    const hello = await signHello(wallet, await challengeOf(link), await unsignedHello(wallet.address));
    link.send({ ...hello, offer: { ...hello.offer, powerCapacity: 1e6 } });
    expect((await link.refused()).code).toBe('link/bad-signature');
  });

  test('challenge expired: refused', async () => {
    let nowMs = 1_700_000_000_000;
    const clock = { now: () => nowMs, sleep: async () => {} };
    await using server = await openTestServer({}, { clock });
    const wallet = await newWallet();
    using link = await openRawLink(server.url);
    const hello = await signHello(wallet, await challengeOf(link), await unsignedHello(wallet.address));
    nowMs += 60_001;
    link.send(hello);
    expect((await link.refused()).code).toBe('link/expired');
  });

  test('another major version: refused', async () => {
    await using server = await openTestServer();
    await using client = await openTestClient(server.url, { version: '1.0.0' });
    await until(() => client.logger.codes.includes('link/version'));
    expect(server.connects).toEqual([]);
  });

  test('weak session key: refused', async () => {
    await using server = await openTestServer();
    const wallet = await newWallet();
    using link = await openRawLink(server.url);
    const hello = { ...(await unsignedHello(wallet.address)), key: `0x${'0'.repeat(64)}` };
    link.send(await signHello(wallet, await challengeOf(link), hello));
    expect((await link.refused()).code).toBe('link/invalid');
  });

  test('blocked worker: refused', async () => {
    const wallet = await newWallet();
    await using server = await openTestServer({}, { isBlocked: async (worker) => worker === wallet.address });
    await using client = await openTestClient(server.url, {}, { wallet });
    await until(() => client.logger.codes.includes('link/blocked'));
    expect(client.link.connected).toBe(false);
  });
});

describe('before the handshake', () => {
  test('address outside the whitelist: refused', async () => {
    await using server = await openTestServer({}, { isAllowedIp: () => false });
    await using client = await openTestClient(server.url);
    await until(() => client.logger.codes.includes('link/forbidden-ip'));
  });

  test.each(['emeth.v0', 'graphql-ws'])('subprotocol %s: HTTP 400', async (protocol) => {
    await using server = await openTestServer();
    const socket = new WebSocket(server.url, protocol);
    const [error] = await once(socket, 'error').catch((thrown) => [thrown]);
    expect(String(error)).toContain('400');
  });

  test('another path: HTTP 404', async () => {
    await using server = await openTestServer();
    const socket = new WebSocket(`${server.url}/../other`, SUBPROTOCOL);
    const [error] = await once(socket, 'error').catch((thrown) => [thrown]);
    expect(String(error)).toContain('404');
  });

  test('silent client: refused after handshakeMs', async () => {
    await using server = await openTestServer({ handshakeMs: 50 });
    using link = await openRawLink(server.url);
    expect((await link.refused()).code).toBe('link/slow-handshake');
  });

  test('too many unproven sockets: the next is refused until one leaves', async () => {
    await using server = await openTestServer({ maxUnproven: 3, handshakeMs: 60_000 });
    using _a = await openRawLink(server.url);
    using _b = await openRawLink(server.url);
    using c = await openRawLink(server.url);
    await using client = await openTestClient(server.url);
    await until(() => client.logger.codes.includes('link/busy'));
    expect(client.link.connected).toBe(false);
    c.socket.terminate();
    await server.peer(client.wallet.address);
  });

  test.each([
    ['a job message', '{"type":"job.ready","jobId":"0x11111111111111111111111111111111"}', 'link/out-of-order', 1008],
    [
      'a pull',
      { type: 'blob.pull', transfer: 1, sha256: 'a'.repeat(64), bytes: 1, offset: 0, window: 1 },
      'link/out-of-order',
      1008,
    ],
    ['invalid JSON', '{"type":"hello"', 'link/malformed', 1008],
    ['an unknown type', '{"type":"sudo"}', 'link/unknown-type', 1008],
    ['an incomplete hello', '{"type":"hello"}', 'link/invalid', 1008],
    ['deep JSON', '['.repeat(50_000), 'link/malformed', 1008],
    ['a long text', 'x'.repeat(MAX_CONTROL_BYTES + 1), 'link/oversized', 1009],
    ['bytes', randomBytes(1000), 'link/malformed', 1008],
  ])('%s before the hello: refused', async (_name, frame, code, close) => {
    await using server = await openTestServer();
    using link = await openRawLink(server.url);
    link.send(frame);
    expect(await link.refused()).toEqual({ code, close });
  });

  test('frame above the limit: closed with 1009', async () => {
    await using server = await openTestServer();
    using link = await openRawLink(server.url);
    link.socket.send(Buffer.alloc(600_000));
    expect((await once(link.socket, 'close'))[0]).toBe(1009);
  });

  test('message in a thousand fragments: closed with 1008', async () => {
    await using server = await openTestServer();
    using link = await openRawLink(server.url);
    for (let i = 0; i < 1000; i++) link.socket.send('[', { fin: false });
    expect((await once(link.socket, 'close'))[0]).toBe(1008);
  });

  test('text that is not UTF-8: closed with 1007', async () => {
    await using server = await openTestServer();
    using link = await openRawLink(server.url);
    link.socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
    expect((await once(link.socket, 'close'))[0]).toBe(1007);
  });

  test('bytes that are not a WebSocket: the server survives every length', async () => {
    await using server = await openTestServer();
    for (let length = 0; length < 60; length++) {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      socket.end(Buffer.concat([Buffer.from('GET /link HTTP/1.1\r\nUpgrade: x\r\n\r\n'), randomBytes(length)]));
      await once(socket, 'close');
    }
    await using client = await openTestClient(server.url);
    await server.peer(client.wallet.address);
  });
});

describe('misbehaving proven worker', () => {
  const pull = { type: 'blob.pull', transfer: 1, sha256: 'a'.repeat(64), bytes: 10, offset: 10, window: 1 };
  test.each([
    ['invalid JSON', '{', 'link/malformed', 1008],
    ['an unknown type', { type: 'sudo' }, 'link/unknown-type', 1008],
    ['an unknown field', { type: 'job.ready', jobId: `0x${'1'.repeat(32)}`, extra: 1 }, 'link/invalid', 1008],
    ['an incomplete message', { type: 'job.ready' }, 'link/invalid', 1008],
    ['a pull beyond the end', pull, 'link/invalid', 1008],
    ['a long message', { type: 'bye', reason: 'x'.repeat(MAX_CONTROL_BYTES) }, 'link/oversized', 1009],
  ])('proven worker sends %s: refused', async (_name, message, code, close) => {
    await using server = await openTestServer();
    using link = await openProvenLink(server.url, await newWallet());
    link.sendSealed(message);
    expect(await link.refused()).toEqual({ code, close });
    await until(() => server.closes.length === 1);
    expect(server.messages).toEqual([]);
  });

  test.each([
    ['garbage', randomBytes(100)],
    ['an unrequested chunk', encodeChunk({ transfer: 1, offset: 0, bytes: Buffer.from('x') })],
    ['nothing', Buffer.alloc(0)],
  ])('binary frame with %s: refused', async (_name, frame) => {
    await using server = await openTestServer();
    using link = await openProvenLink(server.url, await newWallet());
    link.send(frame);
    expect(await link.refused()).toEqual({ code: 'link/bad-frame', close: 1008 });
  });

  test('message without a seal: refused', async () => {
    await using server = await openTestServer();
    using link = await openProvenLink(server.url, await newWallet());
    link.send({ type: 'job.ready', jobId: `0x${'1'.repeat(32)}` });
    expect(await link.refused()).toEqual({ code: 'link/bad-seal', close: 1008 });
    expect(server.messages).toEqual([]);
  });

  test('more bytes than the window allows: refused, and memory stays bounded', async () => {
    let seen = 0;
    let freeDisk = () => {};
    const busyDisk = new Promise<void>((resolve) => {
      freeDisk = resolve;
    });
    const part = {
      get offset() {
        return seen;
      },
      append: (chunks: readonly Uint8Array[]) => {
        for (const chunk of chunks) seen += chunk.length;
        return seen < MIB ? Promise.resolve() : busyDisk;
      },
      finish: async () => {},
      discard: async () => {},
      close: async () => {},
    };
    const blobs = {
      stat: async () => undefined,
      openPart: async () => part,
      openReader: () => Promise.reject(new Error('not reached')),
    };
    await using server = await openTestServer({}, { blobs });
    const wallet = await newWallet();
    using link = await openProvenLink(server.url, wallet);
    const peer = await server.peer(wallet.address);
    const pulled = peer.pull({ sha256: blobName('a'), bytes: 64 * MIB }).catch((error) => error.code);
    await link.next();
    const bytes = Buffer.alloc(MIB / 4);
    for (let offset = 0; offset < 8 * MIB; offset += bytes.length) {
      link.send(encodeChunk({ transfer: 1, offset, bytes }));
    }
    expect((await link.refused()).code).toBe('link/overrun');
    freeDisk();
    expect(await pulled).toBe('link/cut');
    expect(seen).toBeLessThan(6 * MIB);
  });

  test('error in the message handler: the connection stays', async () => {
    let calls = 0;
    const onMessage = () => {
      calls += 1;
      throw new Error('bug');
    };
    const handlers = { onConnect: () => {}, onMessage, onClose: () => {} };
    await using server = await openTestServer({}, { handlers });
    await using client = await openTestClient(server.url);
    await until(() => client.link.connected);
    for (let i = 0; i < 3; i++) client.link.send({ type: 'job.ready', jobId: `0x${'1'.repeat(32)}` });
    await until(() => calls === 3);
    expect(client.link.connected).toBe(true);
  });
});

describe('impersonating a master', () => {
  test('another master than the configured one: the worker signs nothing', async () => {
    await using server = await openTestServer();
    await using client = await openTestClient(server.url, { masterAddress: (await newWallet()).address });
    await until(() => client.logger.codes.includes('link/wrong-master'));
    expect(server.logger.codes).not.toContain('link/bad-signature');
    expect(server.connects).toEqual([]);
  });

  test('another master than the pinned one: the worker signs nothing', async () => {
    const wallet = await newWallet();
    const pins: Address[] = [];
    const pinned = { load: async () => pins[0], save: async (master: Address) => void pins.push(master) };
    {
      await using server = await openTestServer();
      await using client = await openTestClient(server.url, {}, { wallet, pinned });
      await until(() => client.link.connected);
      expect(pins).toEqual([server.wallet.address]);
    }
    await using impostor = await openTestServer();
    await using client = await openTestClient(impostor.url, {}, { wallet, pinned });
    await until(() => client.logger.codes.includes('link/wrong-master'));
    expect(impostor.connects).toEqual([]);
  });

  test('master of another chain: refused', async () => {
    await using server = await openTestServer({ chainId: 1 }, { wallet: await newWallet(1) });
    await using client = await openTestClient(server.url);
    await until(() => client.logger.codes.includes('link/wrong-chain'));
  });

  test.each([
    ['its own welcome to the real challenge', 'link/bad-signature'],
    ['a job before the welcome', 'link/out-of-order'],
    ['invalid JSON', 'link/malformed'],
  ])('master sends %s: refused', async (name, code) => {
    await using server = await openTestServer();
    await using relay = await openRelay(server, name);
    await using client = await openTestClient(relay.url, { masterAddress: server.wallet.address });
    await until(() => client.logger.codes.includes(code));
    expect(client.welcomes).toEqual([]);
  });

  test('message forged after the handshake: refused', async () => {
    await using server = await openTestServer();
    await using relay = await openRelay(server, 'a forged revoke');
    await using client = await openTestClient(relay.url, { masterAddress: server.wallet.address });
    await until(() => client.logger.codes.includes('link/bad-seal'));
    expect(client.messages).toEqual([]);
  });
});

/** A man in the middle that forwards everything except what `trick` makes it replace. */
async function openRelay(server: TestServer, trick: string): Promise<AsyncDisposable & { url: string }> {
  const gate = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(gate, 'listening');
  gate.on('connection', (victim) => {
    const upstream = new WebSocket(server.url, SUBPROTOCOL);
    upstream.on('error', () => {});
    upstream.on('message', (data) => {
      const text = data.toString();
      const isWelcome = text.includes('"welcome"');
      if (!isWelcome) return victim.send(text);
      if (trick === 'invalid JSON') return victim.send('{');
      if (trick === 'a job before the welcome') return victim.send('{"type":"ping","atMs":1}');
      if (trick === 'a forged revoke') {
        victim.send(text);
        return victim.send(`${'0'.repeat(32)}{"type":"lease.revoke","leaseId":"l","reason":"forged"}`);
      }
      return victim.send(JSON.stringify({ ...JSON.parse(text), session: newNonce() }));
    });
    victim.on('message', (data) => upstream.send(data.toString()));
    victim.on('close', () => upstream.terminate());
    upstream.on('close', () => victim.terminate());
  });
  return {
    url: `ws://127.0.0.1:${(gate.address() as { port: number }).port}/link`,
    async [Symbol.asyncDispose]() {
      for (const victim of gate.clients) victim.terminate();
      gate.close();
      await once(gate, 'close');
    },
  };
}
