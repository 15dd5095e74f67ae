/** What `emeth doctor` finds on a real machine and chain. */
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../../../src/lib/free-port';
import { runInProcess } from '../../../support/cli';
import { openClientChain } from '../../../support/client-chain';
import { openScratch } from '../../../support/scratch';
import { testPython } from '../../../support/tiny-job';

jest.setTimeout(60_000);

interface Line {
  name: string;
  status: string;
  value: string;
  code: string;
  remedy?: string;
}

/** A configuration and what doctor says to it. */
async function examine(settings: object): Promise<{ status: number; talk: string; checks: Map<string, Line> }> {
  await using scratch = await openScratch();
  const path = scratch.file('config.json');
  await writeFile(path, JSON.stringify({ python: testPython, ...settings }), { mode: 0o600 });
  const { status, out, talk } = await runInProcess('doctor', '--config', path, '--data-dir', scratch.path, '--json');
  const checks = JSON.parse(out) as Line[];
  return { status, talk, checks: new Map(checks.map((check) => [check.name, check])) };
}

/** A server of HTTP whose clock goes wrong by so much. */
async function openStrangeServer(skewMs: number, status = 200) {
  const server = createServer((_request, response) => {
    response.setHeader('date', new Date(Date.now() + skewMs).toUTCString());
    response.writeHead(status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => void (await once(server.close(), 'close')),
  };
}

const master = {
  endpoint: 'http://127.0.0.1:9',
  emethContractAddress: `0x${'11'.repeat(20)}`,
  tokenContractAddress: `0x${'22'.repeat(20)}`,
  privateKey: '11'.repeat(32),
};

const before = { ...process.env };
afterEach(() => {
  process.env = { ...before };
});

describe('doctor', () => {
  test('storage: its key and its peers are looked at where it has peers', async () => {
    await using peer = await openStrangeServer(0);
    const { privateKey, ...rest } = master;
    // A storage has no Python.
    const chain = { ...rest, python: undefined };
    const alone = await examine({ ...chain, my_url: 'http://127.0.0.1:9', peers: [] });
    expect(alone.checks.get('config')?.value).toContain('(storage)');
    expect([...alone.checks.keys()]).not.toContain('key');
    const mirror = await examine({ ...chain, my_url: 'http://127.0.0.1:9', peers: [`${peer.url}/api/v1`] });
    expect(mirror.checks.get('key')).toMatchObject({ status: 'failed', code: 'config/no-key' });
    expect(mirror.checks.get('peer')?.status).toBe('ok');
    const { checks } = await examine({
      ...chain,
      privateKey,
      my_url: 'http://127.0.0.1:9',
      peers: [`${peer.url}/api/v1`],
    });
    expect(checks.get('key')?.status).toBe('ok');
    expect([...checks.keys()]).not.toContain('registry');
  });

  test('disk: what is free and what takes it, against the floor of the settings', async () => {
    await using scratch = await openScratch();
    const path = scratch.file('config.json');
    const dataDir = scratch.file('data');
    await mkdir(join(dataDir, 'blobs', 'ab'), { recursive: true });
    await writeFile(join(dataDir, 'blobs', 'ab', 'one'), Buffer.alloc(2_000_000));
    const diskAbove = async (minFreeBytes: number) => {
      const settings = { ...master, my_url: 'http://127.0.0.1:9', python: testPython, minFreeBytes };
      await writeFile(path, JSON.stringify(settings), { mode: 0o600 });
      const { out } = await runInProcess('doctor', '--config', path, '--data-dir', dataDir, '--json');
      return (JSON.parse(out) as Line[]).find(({ name }) => name === 'disk');
    };
    expect((await diskAbove(0))?.value).toMatch(/ free for .*data \(blobs 2\.0 MB\)$/);
    expect(await diskAbove(2 ** 50)).toMatchObject({ status: 'failed', code: 'doctor/low-disk' });
  });

  test('nobody listens: says so', async () => {
    const { checks } = await examine({ master_node_url: `http://127.0.0.1:${await freePort()}` });
    expect(checks.get('master')).toMatchObject({ status: 'failed', code: 'doctor/unreachable' });
    expect(checks.get('master')?.remedy).toContain('ECONNREFUSED');
  });

  test('own contracts, account not a node: says how to become one', async () => {
    await using client = await openClientChain();
    const { url: endpoint, core: emethContractAddress, token: tokenContractAddress } = client;
    const chain = { endpoint, emethContractAddress, tokenContractAddress };
    const my_url = `http://127.0.0.1:${await freePort()}`;
    const { checks } = await examine({ ...chain, privateKey: '11'.repeat(32), my_url });
    expect(checks.get('contracts')).toMatchObject({ status: 'ok' });
    expect(checks.get('registry')).toMatchObject({ status: 'failed', code: 'doctor/not-active' });
    expect(checks.get('registry')?.remedy).toContain('emeth register-node');
  });

  test('another contract at the address: says so', async () => {
    await using client = await openClientChain();
    const { url: endpoint, token } = client;
    const chain = { endpoint, emethContractAddress: token, tokenContractAddress: token };
    const { checks } = await examine({ ...chain, privateKey: '11'.repeat(32), my_url: 'http://127.0.0.1:1' });
    expect(checks.get('contracts')).toMatchObject({ status: 'failed', code: 'doctor/other-code' });
  });

  test('worker whose master answers: all checks pass', async () => {
    await using server = await openStrangeServer(0);
    const { status, checks } = await examine({ master_node_url: server.url });
    expect([...checks].filter(([, { status: of }]) => of === 'failed')).toEqual([]);
    expect(status).toBe(0);
    expect(checks.get('python')?.value).toContain('torch');
    expect(checks.get('key')?.value).toBe('made at the first start');
    expect(checks.get('clock')?.status).toBe('ok');
  });

  test('sandbox: its level, and what is wrong when it is switched off', async () => {
    process.env.EMETH_SANDBOX = 'off';
    const off = await examine({ master_node_url: 'http://127.0.0.1:9' });
    expect(off.checks.get('sandbox')).toMatchObject({ status: 'warning', code: 'doctor/sandbox-off' });
    delete process.env.EMETH_SANDBOX;
    const works = await examine({ master_node_url: 'http://127.0.0.1:9', sandbox: 'require' });
    expect(works.checks.get('sandbox')).toMatchObject({ status: 'ok', value: expect.stringContaining('bwrap') });
    process.env.PATH = '/nowhere';
    const missing = await examine({ master_node_url: 'http://127.0.0.1:9', sandbox: 'require' });
    expect(missing.checks.get('sandbox')).toMatchObject({ status: 'failed', code: 'runner/no-sandbox' });
    expect(missing.checks.get('sandbox')?.remedy).toMatch(/^Install bubblewrap .*\.$/);
  });

  test('no such GPU: the device check fails', async () => {
    const { status, talk, checks } = await examine({ master_node_url: 'http://127.0.0.1:9', device: 'cuda:7' });
    expect(status).toBe(1);
    expect(checks.get('device')).toMatchObject({ code: 'worker/no-gpu', remedy: expect.stringContaining('cuda:7') });
    expect(checks.get('master')?.status).toBe('failed');
    expect(JSON.parse(talk)).toMatchObject({ error: { code: 'doctor/failed' } });
  });

  test('clocks differ: the clock check fails', async () => {
    await using server = await openStrangeServer(-90_000);
    const { checks } = await examine({ master_node_url: server.url });
    expect(checks.get('clock')).toMatchObject({ status: 'failed', code: 'doctor/clock-skew' });
  });

  test('chain gone, port taken: both checks fail', async () => {
    await using server = await openStrangeServer(0, 404);
    const { status, checks } = await examine({ ...master, my_url: server.url });
    expect(status).toBe(1);
    expect(checks.get('chain')?.code).toBe('chain/unreachable');
    expect(checks.get('port')?.code).toBe('doctor/port-in-use');
    expect(checks.get('key')?.status).toBe('ok');
  });

  test('port free: the port check passes', async () => {
    const port = await freePort();
    const { checks } = await examine({
      ...master,
      my_url: `http://127.0.0.1:${port}`,
      external_db: { host: '127.0.0.1', port: 9, user: 'u', database: 'd' },
    });
    expect(checks.get('port')?.status).toBe('ok');
    expect(checks.get('database')).toMatchObject({ status: 'failed', code: 'ECONNREFUSED' });
  });

  test('wrong settings: the config check fails', async () => {
    const { status, checks } = await examine({ master_node_url: 'not a url' });
    expect(status).toBe(1);
    expect(checks.get('config')).toMatchObject({
      status: 'failed',
      remedy: expect.stringContaining('master_node_url'),
    });
  });
});
