/**
 * A loopback HTTP server whose JSON-RPC answers a test scripts, alone or before a real node, for faults that
 * a real node cannot be made to show.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';

export interface JsonServer extends AsyncDisposable {
  readonly url: string;
  /** Methods it was asked for, in order. */
  readonly asked: string[];
}

export interface Scripted {
  status?: number;
  headers?: Record<string, string>;
  /** Fields of the answer beside its id. */
  body?: { result?: unknown; error?: { code: number; message: string } };
  /** What is sent in place of JSON. */
  text?: string;
}

/**
 * Answers each request with what `script` returns for its method and parameters; where it returns nothing,
 * with what the node at `target` answers.
 */
export async function openJsonServer(
  script: (method: string, params: readonly unknown[]) => Scripted | undefined,
  target?: string,
): Promise<JsonServer> {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString()) as {
      id: number;
      method: string;
      params: unknown[];
    };
    asked.push(method);
    const scripted = script(method, params) ?? (await forward(target, { jsonrpc: '2.0', id, method, params }));
    const { status = 200, headers = {}, body, text = JSON.stringify({ jsonrpc: '2.0', id, ...body }) } = scripted;
    response.writeHead(status, headers).end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function forward(target: string | undefined, request: object): Promise<Scripted> {
  if (target === undefined) throw new Error(`The script has no answer to ${JSON.stringify(request)}`);
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(target, { method: 'POST', headers, body: JSON.stringify(request) });
  return { text: await answer.text() };
}
