/** A master behind a real nginx: with the documented settings, TLS and a path; and with none at all. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlobStore } from '../../src/blobs/blob-store';
import { freePort } from '../../src/lib/free-port';
import { runFarSide } from '../support/far-side';
import { CHAIN_ID, openTestClient, until } from '../support/link-pair';
import { startNginx } from '../support/nginx';
import { openScratch } from '../support/scratch';
import { openServedMaster, type ServedMaster } from '../support/served-master';

const root = join(__dirname, '..', '..');
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
const plain = (port: number, master: number) =>
  `server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${master}; } }`;

let master: ServedMaster;
let nginx: AsyncDisposable;
let tlsPort: number;
let plainPort: number;

beforeAll(async () => {
  master = await openServedMaster();
  [tlsPort, plainPort] = [await freePort(), await freePort()];
  nginx = await startNginx(documented(tlsPort, master.port) + plain(plainPort, master.port), plainPort);
});
afterAll(async () => {
  await nginx?.[Symbol.asyncDispose]();
  await master?.[Symbol.asyncDispose]();
});

test('documented nginx: storage, link, board and admin API work', async () => {
  await using scratch = await openScratch();
  const stores = { requester: scratch.file('a'), reader: scratch.file('b'), worker: scratch.file('c') };
  const blob = await new BlobStore(stores.requester).addBytes(randomBytes(900_000));
  const report = await runFarSide(
    { masterUrl: `https://localhost:${tlsPort}/emeth`, chainId: CHAIN_ID, key: `0x${'11'.repeat(32)}`, stores, blob },
    { NODE_EXTRA_CA_CERTS: join(certificates, 'cert.pem') },
  );
  expect(report).toMatchObject({ health: { status: 'ok', chainId: CHAIN_ID }, downloaded: 900_000, jobs: 0 });
  for (const dir of [stores.reader, stores.worker]) {
    expect(await new BlobStore(dir).stat(blob.sha256)).toEqual({ bytes: 900_000 });
  }
  expect(await master.blobs.stat(blob.sha256)).toEqual({ bytes: 900_000 });
});

test('nginx that drops the Upgrade headers: the worker is told so', async () => {
  await using client = await openTestClient(`ws://127.0.0.1:${plainPort}/link`);
  await until(() => client.logger.codes.includes('link/no-upgrade'));
  const answer = await fetch(`http://127.0.0.1:${plainPort}/link`);
  expect([answer.status, await answer.text()]).toEqual([426, expect.stringContaining('without its Upgrade headers')]);
});
