/** What is said at the start of an endpoint that answers, but not as an Ethereum node does. */
import { askChainId } from '../../../../src/chain/rpc/client';
import type { AppError } from '../../../../src/lib/errors';
import { openJsonServer, type Scripted } from '../../../support/json-server';

const error = (code: number, message: string) => ({ error: { code, message } });

test.each([
  [
    '401 with JSON',
    { status: 401, body: error(-32_000, 'invalid api key') },
    'no-access',
    /refuses access \(HTTP 401: "invalid api key"\); correct the key/,
  ],
  [
    '403 with text',
    { status: 403, text: 'project id …abcd is blocked' },
    'no-access',
    /HTTP 403: "project id …abcd is blocked"/,
  ],
  [
    '404',
    { status: 404, text: 'not found' },
    'not-a-node',
    /has no Ethereum node at this path \(HTTP 404: "not found"\)/,
  ],
  [
    'plain text',
    { text: 'Must be authenticated!' },
    'not-a-node',
    /answers without JSON-RPC \(HTTP 200: "Must be authenticated!"\)/,
  ],
  [
    'a page',
    { text: '<!DOCTYPE html><html>secret-key</html>' },
    'not-a-node',
    /\(HTTP 200: a web page\); set `endpoint`/,
  ],
  ['other JSON', { text: '{"hello":"world"}' }, 'not-a-node', /answers without JSON-RPC/],
  ['no chain', { body: { result: null } }, 'not-a-node', /does not say which chain it is on/],
  ['an error', { body: error(-32_000, 'not ready') }, 'unreachable', /does not say which chain it is on: "not ready"/],
  ['the key', { status: 401, text: 'no such key: secret-key' }, 'no-access', /: "no such key: …"/],
  ['the key as an error', { body: error(-32_000, 'no such key: secret-key') }, 'unreachable', /: "no such key: …"/],
  [
    '429',
    { status: 429, headers: { 'retry-after': '60' }, text: 'slow down' },
    'unreachable',
    /asks for a pause of 60 s \(HTTP 429: "slow down"\); wait/,
  ],
] as [string, Scripted, string, RegExp][])(
  'endpoint that answers %s: told as what it is',
  async (_name, answer, code, words) => {
    await using server = await openJsonServer(() => answer);
    const failure = await askChainId({ endpoint: `${server.url}/v3/secret-key` }).catch(
      (thrown: unknown) => thrown as AppError,
    );
    expect(failure).toMatchObject({ code: `chain/${code}`, message: expect.stringMatching(words) });
    expect((failure as AppError).message).not.toMatch(/secret|<|No Ethereum node answers/);
  },
);

test('several endpoints: each with its own trouble', async () => {
  await using refusing = await openJsonServer(() => ({ status: 401, text: 'no' }));
  await using alien = await openJsonServer(() => ({ text: '<html>' }));
  await expect(askChainId({ endpoint: [refusing.url, 'http://127.0.0.1:1', alien.url] })).rejects.toMatchObject({
    code: 'chain/unreachable',
    message: `${refusing.url} refuses access (HTTP 401: "no"); ${alien.url} answers without JSON-RPC (HTTP 200: a web page); correct \`endpoint\`, or start the node.`,
  });
});
