/** How `emeth rpc` calls a master. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { runInProcess } from '../../../support/cli';

let server: Server;
let url: string;
/** What the server last got, and what it is to answer. */
let got: unknown;
let answer: { status: number; body: string };

beforeAll(async () => {
  server = createServer(async (request, response) => {
    got = { path: request.url, ...JSON.parse(await text(request)) };
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => new Promise((resolve) => server.close(resolve)));

const rpc = (...argv: string[]) => runInProcess('rpc', ...argv, '--json');

describe('rpc', () => {
  test('method without parameters: prints the result', async () => {
    answer = { status: 200, body: '{"jsonrpc":"2.0","id":1,"result":[]}' };
    const { status, out } = await rpc('workers', '--url', url);
    expect({ status, out: JSON.parse(out) }).toEqual({ status: 0, out: [] });
    expect(got).toEqual({ path: '/api/json-rpc', jsonrpc: '2.0', id: 1, method: 'workers' });
  });

  test('method with parameters: sends them', async () => {
    answer = { status: 200, body: '{"jsonrpc":"2.0","id":1,"result":"disconnected"}' };
    const { out } = await rpc('disconnect', '{"workerAddress":"0x12"}', '--url', `${url}/`);
    expect(JSON.parse(out)).toBe('disconnected');
    expect(got).toMatchObject({ params: { workerAddress: '0x12' } });
  });

  test.each([
    ['requeue', `0x${'1F'.repeat(16)}`, { jobId: `0x${'1f'.repeat(16)}` }],
    ['measure', `0x${'1f'.repeat(20)}`, { workerAddress: `0x${'1f'.repeat(20)}` }],
  ])('%s with the id alone: sends it by its name', async (method, id, params) => {
    answer = { status: 200, body: '{"jsonrpc":"2.0","id":1,"result":"queued"}' };
    expect(await rpc(method, id, '--url', url)).toMatchObject({ status: 0 });
    expect(got).toMatchObject({ method, params });
  });

  test.each([
    [
      'a foreign address',
      401,
      '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}',
      4,
      'jsonrpc_whitelist',
    ],
    [
      'an unknown method',
      200,
      '{"error":{"code":-32601,"message":"Method not found"}}',
      1,
      'Method not found (-32601)',
    ],
    ['something that is no master', 200, '<html>', 1, "not a master's address"],
  ])('%s: fails with its status', async (_name, httpStatus, body, status, words) => {
    answer = { status: httpStatus, body };
    const result = await rpc('workers', '--url', url);
    expect(result).toMatchObject({ status, out: '' });
    expect(result.talk).toContain(words);
  });

  test('nobody listens: throws rpc/unreachable', async () => {
    const { status, talk } = await rpc('workers', '--url', 'http://127.0.0.1:1');
    expect(status).toBe(1);
    expect(JSON.parse(talk)).toMatchObject({ error: { code: 'rpc/unreachable' } });
  });

  test('parameters that are not JSON: throws usage/bad-params', async () => {
    expect(await rpc('job', '{', '--url', url)).toMatchObject({ status: 2 });
  });
});
