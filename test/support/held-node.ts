/** A proxy of an Ethereum node that holds one chosen request, so that a test can act meanwhile. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The request to hold. */
export interface Hold {
  method: string;
  /** Which request of that method since `holdAt`, from 1. */
  nth: number;
  /** Whether the node receives the request at once, so that only the answer is held. */
  isForwarded: boolean;
}

/** A real Ethereum node behind a proxy that can hold one exact request. */
export interface HeldNode extends AsyncDisposable {
  readonly url: string;
  /**
   * Resolves when the request has arrived, and was forwarded if it is to be, with a function that releases
   * it; until then it has no answer. All other requests are answered.
   */
  holdAt(hold: Hold): Promise<() => void>;
}

export async function openHeldNode(target: string): Promise<HeldNode> {
  let [present, asked]: [Held | undefined, number] = [undefined, 0];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { method } = JSON.parse(body.toString()) as { method: string };
    if (method === present?.method) asked += 1;
    const held = method === present?.method && asked === present.nth ? present : undefined;
    if (held && !held.isForwarded) await new Promise<void>(held.reached);
    const answer = await fetch(target, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const text = await answer.text();
    if (held?.isForwarded) await new Promise<void>(held.reached);
    response.setHeader('content-type', 'application/json').end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    holdAt(hold) {
      return new Promise((reached) => {
        [present, asked] = [{ ...hold, reached }, 0];
      });
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

type Held = Hold & { reached(release: () => void): void };
