/** A master behind a real nginx: with the documented settings, TLS and a path; and with none at all. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openAdminClient } from '../../src/admin/client';
import { Openings } from '../../src/app/openings';
import { BlobStore } from '../../src/blobs/blob-store';
import { RemoteBlobs } from '../../src/blobs/remote-blobs';
import { fetchBoardPage } from '../../src/board/client';
import { freePort } from '../../src/lib/free-port';
import { STORAGE_DOMAIN, uploadTypes } from '../../src/protocol/storage';
import { openConnectProxy } from '../support/connect-proxy';
import { runFarSide } from '../support/far-side';
import { CHAIN_ID, openTestClient, until } from '../support/link-pair';
import { startNginx } from '../support/nginx';
import { openScratch } from '../support/scratch';
import { openServedMaster, type ServedMaster } from '../support/served-master';

const MIB = 2 ** 20;
const root = join(__dirname, '..', '..');
/** The address from which nginx connects to the master. */
const NGINX = '127.0.0.9';
const certificates = join(root, 'test', 'fixtures', 'tls');

/** The example of `docs/behind-a-proxy.md`, with the places of this test in it. */
function documented(port: number, master: number): string {
  const page = readFileSync(join(root, 'docs', 'behind-a-proxy.md'), 'utf8');
  const example = /```nginx\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const places: [string, string][] = [
    ['listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`],
    ['server_name node.example;', 'server_name localhost;'],
    ['/etc/ssl/node.example', certificates],
    ['http://127.0.0.1:3000/', `http://127.0.0.1:${master}/`],
  ];
  return places.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`The example of the page lacks ${from}`);
    return text.replaceAll(from, to);
  }, example);
}

/** What `proxy_pass` alone does: HTTP/1.0 to the master, no upgrades, bodies of at most 1 MB. */
const plain = (port: number, master: number) => `server {
  listen 127.0.0.1:${port};
  location / { proxy_pass http://127.0.0.1:${master}; }
  location /narrow/ { proxy_pass http://127.0.0.1:${master}/; client_max_body_size 10k; }
  location /dead/ { proxy_pass http://127.0.0.1:1/; }
}`;

let master: ServedMaster;
let nginx: AsyncDisposable;
let tlsPort: number;
let plainPort: number;

beforeAll(async () => {
  // nginx itself is on no whitelist: whoever is let in was named by it.
  master = await openServedMaster({ trustProxy: NGINX, worker_whitelist: '127.0.0.1', jsonrpc_whitelist: '127.0.0.1' });
  [tlsPort, plainPort] = [await freePort(), await freePort()];
  nginx = await startNginx(
    `proxy_bind ${NGINX};\n${documented(tlsPort, master.port)}${plain(plainPort, master.port)}`,
    plainPort,
  );
});
afterAll(async () => {
  await nginx?.[Symbol.asyncDispose]();
  await master?.[Symbol.asyncDispose]();
});

/** Does everything that other machines want of the master at this address, with 3 MB of data. */
async function useMaster(masterUrl: string, env: Record<string, string>, isOnWeb = false): Promise<void> {
  await using scratch = await openScratch();
  const stores = { requester: scratch.file('a'), reader: scratch.file('b'), worker: scratch.file('c') };
  const blob = await new BlobStore(stores.requester).addBytes(randomBytes(3_000_000));
  const report = await runFarSide(
    { masterUrl, chainId: CHAIN_ID, key: `0x${'11'.repeat(32)}`, stores, blob, isOnWeb },
    { NODE_EXTRA_CA_CERTS: join(certificates, 'cert.pem'), ...env },
  );
  expect(report).toMatchObject({ health: { status: 'ok', chainId: CHAIN_ID }, downloaded: 3_000_000, jobs: 0 });
  expect(report.rpc).toMatchObject({ result: { chainId: CHAIN_ID } });
  for (const dir of [stores.reader, stores.worker]) {
    expect(await new BlobStore(dir).stat(blob.sha256)).toEqual({ bytes: 3_000_000 });
  }
  expect(await master.blobs.stat(blob.sha256)).toEqual({ bytes: 3_000_000 });
}

test('documented nginx: storage, link, board and admin API work', () =>
  useMaster(`https://localhost:${tlsPort}/emeth`, {}));

test.each<[string, string, string]>([
  ['HTTPS_PROXY', 'https://node.example/emeth', 'node.example:443'],
  ['http_proxy', 'http://node.example/', 'node.example:80'],
])('%s, master at %s: all traffic goes through the proxy', async (variable, masterUrl, tunnel) => {
  // Only the proxy knows the name.
  const hosts = { 'node.example:443': tlsPort, 'node.example:80': master.port, 'node.example': master.port };
  await using proxy = await openConnectProxy(hosts);
  await useMaster(masterUrl, { [variable]: proxy.url }, masterUrl.startsWith('https:'));
  const plain = proxy.asked.filter((asked) => asked !== tunnel);
  expect(plain.filter((asked) => !asked.startsWith(masterUrl))).toEqual([]);
  expect(plain.length > 0).toBe(masterUrl.startsWith('http:'));
  expect(proxy.asked).toContain(tunnel);
});

describe('nginx as it comes', () => {
  const sign = (upload: object) => master.requester.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
  const upload = async (storageApi: string, content: Buffer) => {
    await using scratch = await openScratch();
    const own = new BlobStore(scratch.path);
    const { sha256 } = await own.addBytes(content);
    await new RemoteBlobs(storageApi).upload(sha256, own, master.requester.address, sign);
  };

  test('bodies of at most 1 MB: an upload arrives in pieces of that size', async () => {
    const pieces: number[] = [];
    const onRequest = ({ method, headers }: IncomingMessage) => {
      if (method === 'PUT') pieces.push(Number(headers['content-length']));
    };
    master.server.on('request', onRequest);
    await upload(`http://127.0.0.1:${plainPort}/api/v1`, randomBytes(2.5 * MIB));
    master.server.off('request', onRequest);
    expect(pieces).toEqual([MIB, MIB, MIB / 2]);
  });

  test('bodies of at most 10 kB: a sentence says so, without HTML', async () => {
    const failed = upload(`http://127.0.0.1:${plainPort}/narrow/api/v1`, randomBytes(MIB));
    await expect(failed).rejects.toMatchObject({ code: 'blobs/storage-refused', detail: { status: 413 } });
    await expect(failed).rejects.toThrow(/answered 413: a proxy in front of it .* raise the limit of bodies\.$/);
  });

  test('path without a storage: a sentence says so, without HTML', async () => {
    const failed = upload(`http://127.0.0.1:${plainPort}/elsewhere`, randomBytes(10));
    await expect(failed).rejects.toThrow(/answered 404: what answers there is no storage.*correct storageApi\.$/);
  });

  test('master that does not run: a sentence says so, without HTML', async () => {
    const dead = `http://127.0.0.1:${plainPort}/dead`;
    const page = fetchBoardPage(dead, { page: 1, sort: 'newest' });
    await expect(page).rejects.toThrow(/No board answers at .* \(it answered with status 502 and no JSON\)/);
    await expect(openAdminClient(dead).status()).rejects.toThrow(/status 502 and no JSON/);
  });
});

test('page of another origin: may read the board, and nothing else', async () => {
  const read = async (path: string, method = 'GET') => {
    const headers = { origin: 'https://elsewhere.example' };
    const answer = await fetch(`http://127.0.0.1:${plainPort}/${path}`, { method, headers });
    return [answer.status, answer.headers.get('access-control-allow-origin')];
  };
  expect(await read('api/v1/jobs')).toEqual([200, '*']);
  expect(await read('api/v1/jobs?page=x')).toEqual([400, '*']);
  expect(await read(`api/v1/jobs/0x${'0a'.repeat(16)}`)).toEqual([404, '*']);
  expect(await read(`api/v1/blobs/${'00'.repeat(32)}`)).toEqual([401, null]);
  expect(await read('healthz')).toEqual([200, null]);
  expect((await read('api/json-rpc', 'POST'))[1]).toBeNull();
});

test('metrics: for addresses on the list, not for whoever nginx brings', async () => {
  const direct = await fetch(`http://127.0.0.1:${master.port}/metrics`);
  expect([direct.status, await direct.text()]).toEqual([200, expect.stringContaining('emeth_workers 0')]);
  expect((await fetch(`http://127.0.0.1:${plainPort}/metrics`)).status).toBe(403);
});

test('nginx that drops the Upgrade headers: the worker is told so', async () => {
  await using client = await openTestClient(`ws://127.0.0.1:${plainPort}/link`);
  await until(() => client.logger.codes.includes('link/no-upgrade'));
  const answer = await fetch(`http://127.0.0.1:${plainPort}/link`);
  expect([answer.status, await answer.text()]).toEqual([426, expect.stringContaining('without its Upgrade headers')]);
});

describe('nginx that ends silent connections', () => {
  /** A master with this heartbeat, a worker, and nginx between them, which waits for so long. */
  async function openIdle(heartbeatMs: number, timeout: string) {
    await using openings = new Openings();
    const own = openings.add(await openServedMaster({ heartbeatMs }));
    const port = await freePort();
    const headers = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;';
    const location = `proxy_pass http://127.0.0.1:${own.port}; proxy_http_version 1.1; ${headers}`;
    const text = `server { listen 127.0.0.1:${port}; location / { ${location} proxy_read_timeout ${timeout}; } }`;
    openings.add(await startNginx(text, port));
    const client = openings.add(await openTestClient(`ws://127.0.0.1:${port}/link`));
    await until(() => client.link.connected);
    return { client, ...openings.release() };
  }

  test('timeout of ten heartbeats: an idle worker stays connected', async () => {
    await using idle = await openIdle(200, '2s');
    await delay(3000);
    expect([idle.client.closes, idle.client.welcomes.length]).toEqual([[], 1]);
  });

  test('timeout shorter than the heartbeat: the worker returns, and says what may be', async () => {
    await using idle = await openIdle(60_000, '1s');
    await until(() => idle.client.welcomes.length === 2);
    expect(idle.client.closes[0]).toBe(
      'closed with 1006 before the first heartbeat of 60000 ms; a proxy between may end what is silent for less',
    );
  });
});
