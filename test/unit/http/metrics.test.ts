/** `/metrics`: who may read it, what it counts, and what its figures are called. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { masterFigures, mirrorFigures, readinessFigures, storedFigures } from '../../../src/app/figures';
import { clientBehind } from '../../../src/http/client-address';
import { ipGuard } from '../../../src/http/ip-guard';
import { type FigureGroup, metricsMount } from '../../../src/http/metrics';
import { healthMount, mountAll } from '../../../src/http/mount';
import { openHttp } from '../../../src/http/server';
import { openTraffic } from '../../../src/http/traffic';
import { silentLogger } from '../../../src/lib/logger';
import { JobView } from '../../../src/protocol/admin';

async function serve(groups: readonly FigureGroup[], whitelist = ['127.0.0.1']) {
  const traffic = openTraffic();
  const access = { clientAddress: clientBehind([]), isAllowedIp: ipGuard(whitelist) };
  const mounts = [traffic.mount, metricsMount([traffic.figures, ...groups], access), healthMount({})];
  const http = await openHttp({ host: '127.0.0.1', port: 0 }, (app) => mountAll(app, mounts), { logger: silentLogger });
  const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${http.port}${path}`, init);
  return {
    port: http.port,
    get,
    metrics: async () => (await get('/metrics')).text(),
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
}

const job = (state: string, tokensPerSecond: number) =>
  JobView.partial().parse({
    state,
    progress: { round: 0, mergedBlocks: 0, totalBlocks: 1, startLoss: 1, tokensPerSecond },
  });
const groups = [
  readinessFigures(async () => [
    { name: 'store', ok: true, detail: '' },
    { name: 'chain', ok: false, detail: '' },
  ]),
  storedFigures({ sums: async () => [{ purpose: 'data', sum: { blobs: 3, bytes: 12, unfinished: 1 } }] }),
  mirrorFigures({ blobs: 5, bytes: 70, failures: 2 }),
  masterFigures(async () => ({
    workers: 2,
    gflops: 50,
    jobs: [job('training', 10), job('training', 5), job('queued', 0)] as JobView[],
  })),
];

test('figures of every group: told under their names, with their labels', async () => {
  await using server = await serve(groups);
  const text = await server.metrics();
  for (const line of [
    'emeth_ready{check="store"} 1',
    'emeth_ready{check="chain"} 0',
    'emeth_stored_bytes{purpose="data"} 12',
    'emeth_unfinished_uploads{purpose="data"} 1',
    'emeth_mirrored_bytes_total 70',
    'emeth_jobs{state="training"} 2',
    'emeth_training_tokens_per_second 15',
  ]) {
    expect(text.split('\n')).toContain(line);
  }
  expect(text).toContain('process_resident_memory_bytes');
  // Told again, a total is the same: it is not added up.
  expect(await server.metrics()).toContain('emeth_mirrored_blobs_total 5');
});

test('requests of any kind: counted by method and class, whatever strangers invent', async () => {
  await using server = await serve([]);
  await server.get('/healthz');
  await server.get('/nowhere');
  for (const method of ['LOCK', 'SEARCH']) {
    const socket = connect(server.port, '127.0.0.1');
    socket.end(`${method} /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    socket.resume();
    await once(socket, 'close');
  }
  const text = await server.metrics();
  expect(text).toContain('emeth_http_requests_total{method="GET",status="2xx"} 1');
  expect(text).toContain('emeth_http_requests_total{method="GET",status="4xx"} 1');
  expect(text).toContain('emeth_http_requests_total{method="other",status="4xx"} 2');
  expect(Number(/emeth_http_sent_bytes_total (\d+)/.exec(text)?.[1])).toBeGreaterThan(0);
});

test('address that is not listed: 403, and no figure', async () => {
  await using server = await serve(groups, ['10.0.0.1']);
  const answer = await server.get('/metrics');
  expect(answer.status).toBe(403);
  expect(await answer.json()).toMatchObject({ error: { code: 'metrics/not-allowed' } });
});

test('every figure: in base units, and what only grows ends in _total', () => {
  const all = [openTraffic().figures, ...groups].flatMap(({ figures }) => figures);
  for (const { name, help, labels = [] } of all) {
    expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(name).not.toMatch(/_(ms|kb|mb|gib|minutes|percent)(_|$)/);
    expect(help).toMatch(/^[A-Z0-9].*\.$/);
    expect(labels.every((label) => ['check', 'purpose', 'state', 'method', 'status'].includes(label))).toBe(true);
  }
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
});
