/**
 * A loopback HTTP server whose JSON-RPC answers a test scripts, for faults that a real node cannot be made to
 * show.
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
}

/** Answers each request with what `script` returns for its method and parameters. */
export async function openJsonServer(
  script: (method: string, params: readonly unknown[]) => Scripted,
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
    const { status = 200, headers = {}, body } = script(method, params);
    response.writeHead(status, headers).end(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
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
