/** Transfers of blobs in both directions, through a proxy that cuts, slows and corrupts. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { BlobStore } from '../../src/blobs/blob-store';
import { errorCode } from '../../src/lib/errors';
import type { BlobRef } from '../../src/protocol/blob-ref';
import { openChaosProxy } from '../support/chaos-proxy';
import { openTestClient, openTestServer, type TestClient, type TestServer, until } from '../support/link-pair';

const MIB = 1024 * 1024;

/** A master's and a worker's link with a proxy between them. */
async function openPair() {
  const server = await openTestServer();
  const proxy = await openChaosProxy(server.port);
  const client = await openTestClient(`ws://127.0.0.1:${proxy.port}/link`);
  return {
    server,
    proxy,
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Pulls as a master does: again from the worker's next connection when one is lost. */
async function pullAsMaster(server: TestServer, client: TestClient, blob: BlobRef): Promise<void> {
  for (;;) {
    const peer = await server.peer(client.wallet.address);
    try {
      return await peer.pull(blob);
    } catch (error) {
      if (errorCode(error) !== 'link/cut') throw error;
      await until(() => server.link.peers.get(client.wallet.address) !== peer);
    }
  }
}

const directions = [
  {
    name: 'master to worker',
    flow: 'toClient' as const,
    from: (pair: { server: TestServer }) => pair.server.blobs,
    to: (pair: { client: TestClient }) => pair.client.blobs,
    pull: (pair: { client: TestClient }, blob: BlobRef) => pair.client.link.pull(blob),
  },
  {
    name: 'worker to master',
    flow: 'toServer' as const,
    from: (pair: { client: TestClient }) => pair.client.blobs,
    to: (pair: { server: TestServer }) => pair.server.blobs,
    pull: (pair: { server: TestServer; client: TestClient }, blob: BlobRef) =>
      pullAsMaster(pair.server, pair.client, blob),
  },
];

describe.each(directions)('$name', ({ flow, from, to, pull }) => {
  const add = (store: BlobStore, bytes: number) => store.addBytes(randomBytes(bytes));

  test.each([1, 13, 256 * 1024, 256 * 1024 + 1, 9 * MIB + 17])('blob of %i bytes: arrives whole', async (bytes) => {
    await using pair = await openPair();
    const blob = await add(from(pair), bytes);
    await pull(pair, blob);
    expect(await to(pair).stat(blob.sha256)).toEqual({ bytes });
  });

  test('blob stored already: nothing is sent', async () => {
    await using pair = await openPair();
    const blob = await add(from(pair), MIB);
    await pull(pair, blob);
    const before = pair.proxy.passed[flow];
    await pull(pair, blob);
    expect(pair.proxy.passed[flow] - before).toBeLessThan(1000);
  });

  test('five pulls of one blob at once: it is sent once', async () => {
    await using pair = await openPair();
    const blob = await add(from(pair), 3 * MIB);
    await Promise.all([1, 2, 3, 4, 5].map(() => pull(pair, blob)));
    expect(pair.proxy.passed[flow]).toBeLessThan(3.1 * MIB);
  });

  test('cuts: the transfer resumes at its offset', async () => {
    await using pair = await openPair();
    const blob = await add(from(pair), 20 * MIB);
    await connected(pair);
    pair.proxy.set(flow, { cutAfter: 6 * MIB });
    await pull(pair, blob);
    expect(await to(pair).stat(blob.sha256)).toEqual({ bytes: blob.bytes });
    expect(pair.proxy.connections).toBeGreaterThanOrEqual(4);
    // Only what was in flight at a cut, at most a window, is sent twice.
    expect(pair.proxy.passed[flow]).toBeLessThan(blob.bytes + pair.proxy.connections * 4 * MIB);
  });

  test('cut after every few chunks: the transfer still ends', async () => {
    await using pair = await openPair();
    const blob = await add(from(pair), 4 * MIB);
    await connected(pair);
    pair.proxy.set(flow, { cutAfter: 700_000 });
    await pull(pair, blob);
    expect(await to(pair).stat(blob.sha256)).toEqual({ bytes: blob.bytes });
  });

  test('receiver restarts: the transfer resumes from the part on disk', async () => {
    await using pair = await openPair();
    const bytes = randomBytes(8 * MIB);
    const blob = await from(pair).addBytes(bytes);
    const part = await to(pair).openPart(blob.sha256);
    await part.append(bytes.subarray(0, 6 * MIB));
    await part.close();
    await pull(pair, blob);
    expect(pair.proxy.passed[flow]).toBeLessThan(2.1 * MIB);
  });

  test('latency and a slow line: the blob arrives', async () => {
    await using pair = await openPair();
    pair.proxy.set(flow, { latencyMs: 20, bytesPerSecond: 20 * MIB });
    const blob = await add(from(pair), 2 * MIB);
    await pull(pair, blob);
    expect(await to(pair).stat(blob.sha256)).toEqual({ bytes: blob.bytes });
  });

  test('sender lacks the blob: link/unavailable', async () => {
    await using pair = await openPair();
    const blob = await add(to(pair), 1000);
    await to(pair).remove(blob.sha256);
    await expect(pull(pair, blob)).rejects.toMatchObject({ detail: { code: 'link/unavailable' } });
  });

  test('wrong length: link/unavailable', async () => {
    await using pair = await openPair();
    const blob = await add(from(pair), 1000);
    await expect(pull(pair, { ...blob, bytes: 999 })).rejects.toMatchObject({ detail: { code: 'link/unavailable' } });
  });

  test('file changed on the sender’s disk: link/corrupt, and nothing is kept', async () => {
    await using pair = await openPair();
    const blob = await add(from(pair), 1000);
    await writeFile(from(pair).path(blob.sha256), randomBytes(1000));
    await expect(pull(pair, blob)).rejects.toMatchObject({ detail: { code: 'link/corrupt' } });
    expect(await to(pair).stat(blob.sha256)).toBeUndefined();
    const part = await to(pair).openPart(blob.sha256);
    expect(part.offset).toBe(0);
    await part.close();
  });

  test('bit flipped in transit: the blob is sent again', async () => {
    await using pair = await openPair();
    const blob = await add(from(pair), 2 * MIB);
    await connected(pair);
    pair.proxy.set(flow, { flipBitAt: MIB });
    const pulled = pull(pair, blob);
    await until(() => pair.proxy.passed[flow] > MIB + 300_000);
    pair.proxy.set(flow, {});
    await pulled.catch((error) => {
      // A worker's pull retries by itself; a master has to pull again.
      expect(errorCode(error)).toBe('link/corrupt');
      return pull(pair, blob);
    });
    if (flow === 'toClient') expect(pair.client.logger.codes).toContain('link/corrupt');
    expect(await to(pair).stat(blob.sha256)).toEqual({ bytes: blob.bytes });
  });
});

test('canceled pull: the sender stops and other pulls go on', async () => {
  await using pair = await openPair();
  const { server: master, client, proxy } = pair;
  const [slow, other] = [
    await master.blobs.addBytes(randomBytes(16 * MIB)),
    await master.blobs.addBytes(randomBytes(MIB)),
  ];
  proxy.set('toClient', { bytesPerSecond: 20 * MIB });
  const stop = new AbortController();
  const pulled = client.link.pull(slow, {
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('changed its mind')),
  });
  await expect(pulled).rejects.toThrow('changed its mind');
  await client.link.pull(other);
  expect(proxy.passed.toClient).toBeLessThan(8 * MIB);
  expect(proxy.connections).toBe(1);
});

test('slow reader: the sender does not hold the blob in memory', async () => {
  await using pair = await openPair();
  const { server: master, client, proxy } = pair;
  const blob = await master.blobs.addBytes(randomBytes(64 * MIB));
  await connected(pair);
  const before = process.memoryUsage().arrayBuffers;
  proxy.set('toClient', { bytesPerSecond: 4 * MIB });
  const stop = new AbortController();
  const pulled = client.link.pull(blob, { signal: stop.signal });
  await until(() => proxy.passed.toClient > 2 * MIB);
  const held = process.memoryUsage().arrayBuffers - before;
  stop.abort(new Error('seen enough'));
  await expect(pulled).rejects.toThrow('seen enough');
  // The window, the socket buffer and the read-ahead of the file stream, for both sides in this one process.
  expect(held).toBeLessThan(32 * MIB);
});

async function connected(pair: { server: TestServer; client: TestClient }): Promise<void> {
  await pair.server.peer(pair.client.wallet.address);
}
