/** The worker's end of a link without the link's code: a test decides every frame. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Wallet } from '../../src/chain/sending/wallet';
import { type Chunk, chunkFrame } from '../../src/link/frames';
import { newNonce, signHello, type UnsignedHello } from '../../src/link/handshake';
import { ephemeralKey, Opener, Sealer } from '../../src/link/seal';
import { MasterMessage, SUBPROTOCOL } from '../../src/protocol/link';
import { OFFER } from './link-pair';

/** A WebSocket to a master that sends exactly what the test wants. */
export interface RawLink extends Disposable {
  readonly socket: WebSocket;
  /** Opens received texts; set after a handshake. */
  opener: Opener | undefined;
  /** Returns the next message. Throws when the socket closed. */
  next(): Promise<MasterMessage>;
  /** Sends text and bytes unchanged, any other value as JSON. */
  send(value: unknown): void;
  /** Waits for the `refused` that ends this socket; returns its code and the close code. */
  refused(): Promise<{ code: string; close: number }>;
}

export async function openRawLink(url: string, protocol: string | string[] = SUBPROTOCOL): Promise<RawLink> {
  const socket = new WebSocket(url, protocol);
  const texts: string[] = [];
  let wake = () => {};
  const closed = once(socket, 'close').then(([code]) => code as number);
  socket.on('message', (data, isBinary) => {
    if (!isBinary) texts.push(data.toString());
    wake();
  });
  socket.on('error', () => {});
  void closed.then(() => wake());
  await once(socket, 'open');

  const link: RawLink = {
    socket,
    opener: undefined,
    async next() {
      while (texts.length === 0) {
        if (socket.readyState === WebSocket.CLOSED) throw new Error('The socket closed without a message.');
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const text = texts.shift() as string;
      return MasterMessage.parse(JSON.parse(link.opener ? (link.opener.open(text) ?? text) : text));
    },
    send(value) {
      socket.send(typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value));
    },
    async refused() {
      for (;;) {
        const message = await link.next();
        if (message.type === 'refused') return { code: message.code, close: await closed };
      }
    },
    [Symbol.dispose]: () => socket.terminate(),
  };
  return link;
}

/** A raw link after a good handshake; `sendSealed` seals like a worker. */
export async function openProvenLink(
  url: string,
  wallet: Wallet,
): Promise<RawLink & { sendSealed(value: unknown): void }> {
  const link = await openRawLink(url);
  const challenge = await link.next();
  if (challenge.type !== 'challenge') throw new Error(`No challenge: ${JSON.stringify(challenge)}`);
  const key = ephemeralKey();
  const hello: UnsignedHello = {
    type: 'hello',
    worker: wallet.address,
    nonce: newNonce(),
    key: key.publicKey,
    offer: { ...OFFER, version: '0.1.0' },
  };
  link.send(await signHello(wallet, challenge, hello));
  const welcome = await link.next();
  if (welcome.type !== 'welcome') throw new Error(`No welcome: ${JSON.stringify(welcome)}`);
  const keys = key.agree(challenge.key, { master: challenge.nonce, worker: hello.nonce });
  link.opener = new Opener(keys.toWorker);
  const sealer = new Sealer(keys.toMaster);
  const sendSealed = (value: unknown) =>
    link.send(sealer.seal(typeof value === 'string' ? value : JSON.stringify(value)));
  return Object.assign(link, { sendSealed });
}

/** A frame with these bytes of a blob. */
export function encodeChunk({ transfer, offset, bytes }: Chunk): Buffer {
  const { frame, piece } = chunkFrame(transfer, offset, bytes.length);
  piece.set(bytes);
  return frame;
}
