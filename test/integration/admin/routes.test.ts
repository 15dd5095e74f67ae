/** The admin API over HTTP: its methods, JSON-RPC 2.0, and the guards against other callers. */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { adminRoutes } from '../../../src/admin/routes';
import { Address, JobId } from '../../../src/domain/ids';
import { clientBehind } from '../../../src/http/client-address';
import { ipGuard } from '../../../src/http/ip-guard';
import { openHttp } from '../../../src/http/server';
import { AppError } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import type { AdminApi, JobDetails } from '../../../src/protocol/admin';

const ann = Address.parse(`0x${'Aa'.repeat(20)}`);
const jobId = JobId.parse(`0x${'0b'.repeat(16)}`);
const status = { address: ann, chainId: 31337, workers: 1, gflops: 5, jobs: [], checks: [] };
const details: JobDetails = {
  jobId,
  state: 'training',
  chainState: 'PROCESSING',
  requester: ann,
  dataset: 'sha256:a',
  feeWei: '1',
  deadlineMs: 1,
  rounds: [],
  workers: [],
  history: [],
  audits: { drawn: 0, passed: 0, failed: 0 },
  evidenceRequests: [],
};

interface TestAdmin extends AsyncDisposable {
  calls: string[];
  /** Sends a body as it is. */
  send(body: string, headers?: Record<string, string>, method?: string): Promise<{ status: number; text: string }>;
  /** Sends a request; gives the answer's body. */
  call(request: unknown): Promise<unknown>;
}

/** A real admin API whose master knows one worker and one job. */
async function openAdmin(whitelist = ['127.0.0.1'], trustProxy: string[] = []): Promise<TestAdmin> {
  const calls: string[] = [];
  const deps: AdminApi = {
    async disconnect(worker) {
      calls.push(`disconnect ${worker}`);
      return worker === ann ? 'disconnected' : 'not exist';
    },
    async allow(worker) {
      calls.push(`allow ${worker}`);
      return worker === ann ? 'allowed' : 'not exist';
    },
    async measure(worker) {
      calls.push(`measure ${worker}`);
      return worker === ann ? 'measuring' : 'not exist';
    },
    workers: async () => [],
    jobs: () => Promise.reject(new Error('secret detail')),
    async job(id) {
      if (id !== jobId) throw new AppError({ code: 'job/not-found', jobId: id }, `No job ${id} is known here.`);
      return details;
    },
    async requeue(id) {
      calls.push(`requeue ${id}`);
      if (id === jobId) return 'queued';
      throw new AppError({ code: 'job/not-idle', jobId: id, state: 'training' }, `Job ${id} is training.`);
    },
    async storage() {
      calls.push('storage');
      return { freeBytes: 1, minFreeBytes: 2, kinds: [], accounts: [] };
    },
    async status() {
      calls.push('status');
      return status;
    },
  };
  const options = {
    clientAddress: clientBehind(trustProxy),
    isAllowedIp: ipGuard(whitelist),
    origins: ['http://node.example'],
  };
  const http = await openHttp(
    { host: '127.0.0.1', port: 0 },
    (app) => app.use('/api/json-rpc', adminRoutes(options, deps, silentLogger)),
    { logger: silentLogger },
  );
  const send: TestAdmin['send'] = async (body, headers = {}, method = 'POST') => {
    const sent = httpRequest({
      port: http.port,
      method,
      path: '/api/json-rpc',
      headers: { 'content-type': 'application/json', ...headers },
    });
    sent.on('error', () => {});
    const [response] = await once(sent.end(body), 'response');
    const text = (await response.setEncoding('utf8').toArray()).join('');
    return { status: response.statusCode, text };
  };
  return {
    calls,
    send,
    call: async (request) => JSON.parse((await send(JSON.stringify(request))).text),
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
}

const request = (method: string, params?: unknown, id: unknown = 1) => ({ jsonrpc: '2.0', id, method, params });

describe('methods', () => {
  test.each<[string, unknown, unknown]>([
    ['disconnect', { workerAddress: ann }, 'disconnected'],
    ['disconnect', { workerAddress: ann.toUpperCase().replace('0X', '0x') }, 'disconnected'],
    ['disconnect', { workerAddress: ann.slice(2) }, 'disconnected'],
    ['disconnect', { workerAddress: `0x${'00'.repeat(20)}` }, 'not exist'],
    ['allow', { workerAddress: ann }, 'allowed'],
    ['allow', { workerAddress: `0x${'00'.repeat(20)}` }, 'not exist'],
    ['measure', { workerAddress: ann }, 'measuring'],
    ['requeue', { jobId }, 'queued'],
    ['workers', undefined, []],
    ['workers', {}, []],
    ['workers', [], []],
    ['status', undefined, status],
    ['job', { jobId }, details],
    ['job', { jobId: `0x${'0B'.repeat(16)}` }, details],
  ])('%s %j: its result', async (method, params, result) => {
    await using admin = await openAdmin();
    expect(await admin.call(request(method, params))).toEqual({ jsonrpc: '2.0', id: 1, result });
  });

  test.each<[string, unknown, string]>([
    ['disconnect', undefined, 'params'],
    ['disconnect', {}, 'workerAddress'],
    ['disconnect', [ann], 'params'],
    ['disconnect', { workerAddress: '0x12' }, 'workerAddress'],
    ['disconnect', { workerAddress: `${ann}00` }, 'workerAddress'],
    ['disconnect', { workerAddress: 5 }, 'workerAddress'],
    ['disconnect', { workerAddress: null }, 'workerAddress'],
    ['disconnect', { workerAddress: ann, more: 1 }, 'more'],
    ['allow', { worker: ann }, 'workerAddress'],
    ['job', { jobId: '../../etc' }, 'jobId'],
    ['job', {}, 'jobId'],
    ['status', { verbose: true }, 'verbose'],
    ['workers', [1], 'params'],
  ])('%s %j: -32602, naming %s', async (method, params, field) => {
    await using admin = await openAdmin();
    const answer = await admin.call(request(method, params));
    expect(answer).toMatchObject({ id: 1, error: { code: -32602, message: expect.stringContaining(field) } });
    expect(admin.calls).toEqual([]);
    expect(await admin.call(request('status'))).toMatchObject({ result: status });
  });

  test('master refuses: its code and sentence', async () => {
    await using admin = await openAdmin();
    const error = {
      code: -32004,
      message: `No job 0x${'00'.repeat(16)} is known here.`,
      data: { code: 'job/not-found' },
    };
    expect(await admin.call(request('job', { jobId: `0x${'00'.repeat(16)}` }))).toMatchObject({ error });
  });

  test('master fails: no detail in the answer', async () => {
    await using admin = await openAdmin();
    const answer = await admin.call(request('jobs'));
    expect(answer).toMatchObject({ error: { code: -32000, data: { code: 'unknown' } } });
    expect(JSON.stringify(answer)).not.toContain('secret');
  });
});

describe('JSON-RPC 2.0', () => {
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

  test.each<[string, number]>([
    ['', -32600],
    ['{', -32700],
    ['{"jsonrpc":"2.0","method":"status","id":1', -32700],
    ['[{"jsonrpc":"2.0"', -32700],
    ['\u0000', -32700],
    ['nonsense', -32700],
    ['null', -32600],
    ['1', -32600],
    ['"status"', -32600],
    [JSON.stringify(JSON.stringify(request('status'))), -32600],
    ['[]', -32600],
    ['{}', -32600],
    ['{"jsonrpc":"2.0","id":1}', -32600],
    ['{"jsonrpc":"2.0","method":1,"id":1}', -32600],
    ['{"jsonrpc":"2.0","method":"status","params":"bar","id":1}', -32600],
    ['{"jsonrpc":"2.0","method":"status","id":{}}', -32600],
    ['{"jsonrpc":"1.0","method":"status","id":1}', -32600],
    ['{"method":"status","id":1}', -32600],
    ['{"jsonrpc":"2.0","method":"foobar","id":1}', -32601],
    ['{"jsonrpc":"2.0","method":"","id":1}', -32601],
    ['{"jsonrpc":"2.0","method":"constructor","id":1}', -32601],
    ['{"jsonrpc":"2.0","method":"__proto__","id":1}', -32601],
    ['{"jsonrpc":"2.0","method":"toString","id":1}', -32601],
    ['{"jsonrpc":"2.0","method":"rpc.list","id":1}', -32601],
    [deep(100_000), -32600],
    [`{"jsonrpc":"2.0","method":"status","params":${deep(100_000)},"id":1}`, -32602],
    [JSON.stringify([[request('status')], [request('status')]]), -32600],
  ])('malformed body %#: its error, and the next call is served', async (body, code) => {
    await using admin = await openAdmin();
    const answer = JSON.parse((await admin.send(body)).text);
    expect(Array.isArray(answer) ? answer[0] : answer).toMatchObject({ jsonrpc: '2.0', error: { code } });
    expect(admin.calls).toEqual([]);
    expect(await admin.call(request('status'))).toMatchObject({ result: status });
  });

  test('notification: carried out, answered by an empty 204', async () => {
    await using admin = await openAdmin();
    const { id: _id, ...notification } = request('disconnect', { workerAddress: ann });
    expect(await admin.send(JSON.stringify(notification))).toEqual({ status: 204, text: '' });
    expect(admin.calls).toEqual([`disconnect ${ann}`]);
    for (const bad of [
      { ...notification, method: 'none' },
      { ...notification, params: {} },
    ]) {
      expect(await admin.send(JSON.stringify(bad))).toEqual({ status: 204, text: '' });
    }
    expect(await admin.send(JSON.stringify([notification, notification]))).toEqual({ status: 204, text: '' });
  });

  test.each(['null', '9007199254740993', '-123456789012345678901', '1.0', '1e3', '0', '"9007199254740993"', '""'])(
    'id %s: a request, whose answer has it as it came',
    async (id) => {
      await using admin = await openAdmin();
      const request = `{"jsonrpc":"2.0","method":"status","id": ${id}}`;
      const answer = `{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(status)}}`;
      expect((await admin.send(request)).text).toBe(answer);
      expect((await admin.send(`[${request},${request}]`)).text).toBe(`[${answer},${answer}]`);
      const failed = await admin.send(request.replace('status', 'none'));
      expect(failed.text).toContain(`"id":${id},"error"`);
    },
  );

  test('params null: none', async () => {
    await using admin = await openAdmin();
    expect(await admin.call(request('status', null))).toMatchObject({ id: 1, result: status });
    expect(await admin.call(request('job', null))).toMatchObject({ error: { code: -32602 } });
  });

  test('digits in strings, and text that is no JSON with large numbers: left alone', async () => {
    await using admin = await openAdmin();
    const worker = { workerAddress: `\\" 9007199254740993` };
    expect(await admin.call(request('disconnect', worker))).toMatchObject({ error: { code: -32602 } });
    for (const bad of ['09007199254740993', '9007199254740993x', '{"id":9007199254740993', '[9007199254740993.]'])
      expect(JSON.parse((await admin.send(bad)).text)).toMatchObject({ error: { code: -32700 } });
  });

  test('batch: one answer per request', async () => {
    await using admin = await openAdmin();
    const { id: _id, ...notification } = request('status');
    const batch = [
      request('status', undefined, 'a'),
      1,
      notification,
      request('none', undefined, 'b'),
      request('job', {}, 7),
    ];
    const answers = (await admin.call(batch)) as { id: unknown }[];
    expect(answers).toHaveLength(4);
    expect(answers).toEqual(
      expect.arrayContaining([
        { jsonrpc: '2.0', id: 'a', result: status },
        expect.objectContaining({ id: null, error: expect.objectContaining({ code: -32600 }) }),
        expect.objectContaining({ id: 'b', error: expect.objectContaining({ code: -32601 }) }),
        expect.objectContaining({ id: 7, error: expect.objectContaining({ code: -32602 }) }),
      ]),
    );
  });

  test('batch of more than 50: refused as a whole', async () => {
    await using admin = await openAdmin();
    const batch = (size: number) => Array.from({ length: size }, (_, id) => request('status', undefined, id));
    expect(await admin.call(batch(50))).toHaveLength(50);
    expect(await admin.call(batch(51))).toMatchObject({ error: { code: expect.any(Number) } });
    expect(admin.calls).toHaveLength(50);
  });
});

describe('who may call', () => {
  const body = JSON.stringify(request('status'));

  test('address outside the whitelist: 401 before anything is read', async () => {
    await using admin = await openAdmin(['10.0.0.0/8']);
    for (const sent of [body, '{', '', 'x'.repeat(300_000)]) {
      expect(await admin.send(sent)).toMatchObject({ status: 401 });
    }
    expect(admin.calls).toEqual([]);
  });

  test.each<[number, Record<string, string>]>([
    [200, {}],
    [200, { host: '127.0.0.1:3000' }],
    [200, { host: '[::1]' }],
    [200, { host: 'localhost:3000' }],
    [200, { host: 'node.example' }],
    [200, { origin: 'http://node.example' }],
    [200, { 'content-type': 'application/json; charset=utf-8' }],
    [200, { 'x-forwarded-for': '127.0.0.1' }],
    [403, { origin: 'http://evil.example' }],
    [403, { origin: 'null' }],
    [403, { origin: 'http://localhost:3000' }],
    [403, { origin: '' }],
    [403, { host: 'evil.example' }],
    [403, { host: 'evil.example:3000', origin: 'http://node.example' }],
    [403, { host: 'localhost.evil.example' }],
    [200, { 'x-forwarded-for': '127.0.0.1:55555' }],
    [401, { 'x-forwarded-for': '8.8.8.8' }],
    [401, { 'x-forwarded-for': 'unknown' }],
    [401, { 'x-forwarded-for': '127.0.0.1, 8.8.8.8' }],
    [401, { 'x-real-ip': '8.8.8.8' }],
    [401, { forwarded: 'for=8.8.8.8;proto=http' }],
    [401, { forwarded: 'for="[2001:db8::1]:4711"' }],
    [415, { 'content-type': 'text/plain' }],
    [415, { 'content-type': 'application/x-www-form-urlencoded' }],
    [415, { 'content-type': '' }],
  ])('status %i: headers %j', async (code, headers) => {
    await using admin = await openAdmin();
    expect((await admin.send(body, headers)).status).toBe(code);
    expect(admin.calls).toHaveLength(code === 200 ? 1 : 0);
  });

  test.each<[number, string[], Record<string, string>]>([
    [200, ['10.0.0.0/8'], { 'x-forwarded-for': '10.0.0.5:55555' }],
    [200, ['10.0.0.0/8'], { 'x-forwarded-for': '8.8.8.8, 10.0.0.5', 'x-real-ip': '8.8.8.8' }],
    [401, ['10.0.0.0/8'], { 'x-forwarded-for': '10.0.0.5, 8.8.8.8' }],
    [401, ['10.0.0.0/8'], {}],
    [401, ['127.0.0.1'], { 'x-forwarded-for': 'unknown' }],
  ])('status %i through a trusted proxy: whitelist %j, headers %j', async (code, whitelist, headers) => {
    await using admin = await openAdmin(whitelist, ['127.0.0.1']);
    expect((await admin.send(body, headers)).status).toBe(code);
  });

  test('CORS preflight: 405', async () => {
    await using admin = await openAdmin();
    for (const method of ['OPTIONS', 'GET', 'PUT', 'DELETE']) {
      expect((await admin.send('', {}, method)).status).toBe(405);
    }
  });

  test('body over 256 kB: 413', async () => {
    await using admin = await openAdmin();
    expect((await admin.send(JSON.stringify(request('status', { padding: 'x'.repeat(256 * 1024) })))).status).toBe(413);
  });
});
