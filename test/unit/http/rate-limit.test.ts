/** The limit of requests: counted per client, which trusted proxies name, and not for what is free. */
import type { Express } from 'express';
import { clientBehind } from '../../../src/http/client-address';
import { limitRate } from '../../../src/http/rate-limit';
import { openHttp } from '../../../src/http/server';
import { silentLogger } from '../../../src/lib/logger';

/** Sends a request for each X-Forwarded-For to a server that allows two of a client; returns the statuses. */
async function statuses(trustProxy: string[], clients: string[], method = 'GET'): Promise<number[]> {
  const limit = limitRate({
    limit: 2,
    code: 'test/too-many',
    clientAddress: clientBehind(trustProxy),
    isFree: (request) => request.method === 'PUT',
  });
  const mount = (app: Express) => void app.use(limit, (_request, response) => void response.json({}));
  await using http = await openHttp({ host: '127.0.0.1', port: 0 }, mount, { logger: silentLogger });
  const found: number[] = [];
  for (const client of clients) {
    const headers = { 'x-forwarded-for': client };
    found.push((await fetch(`http://127.0.0.1:${http.port}/`, { method, headers })).status);
  }
  return found;
}

test.each<[string, string[], string[], number[]]>([
  ['clients of a trusted proxy', ['127.0.0.1'], ['1.1.1.1', '1.1.1.1:80', '1.1.1.1', '2.2.2.2'], [200, 200, 429, 200]],
  ['neighbours in IPv6', ['127.0.0.1'], ['2001:db8::1', '[2001:db8::2]:1', '2001:db8::3'], [200, 200, 429]],
  ['clients that name themselves', [], ['1.1.1.1', '2.2.2.2', '3.3.3.3'], [200, 200, 429]],
])('%s: counted as one where they are one', async (_name, trustProxy, clients, answers) => {
  expect(await statuses(trustProxy, clients)).toEqual(answers);
});

test('free requests: answered above the limit', async () => {
  expect(await statuses([], ['', '', '', ''], 'PUT')).toEqual([200, 200, 200, 200]);
});
