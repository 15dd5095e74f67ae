/** Real links for tests: a master's and a worker's, each with its own wallet and blob store. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BlobStore } from '../../src/blobs/blob-store';
import { openWallet, recoverTyped, type Wallet } from '../../src/chain/sending/wallet';
import type { Address } from '../../src/domain/ids';
import { clientBehind } from '../../src/http/client-address';
import { systemClock } from '../../src/lib/clock';
import { describeError } from '../../src/lib/errors';
import { type Logger, silentLogger } from '../../src/lib/logger';
import { type LinkClient, type LinkClientDeps, type LinkClientOptions, openLinkClient } from '../../src/link/client';
import type { Peer } from '../../src/link/gate';
import { type LinkServer, type LinkServerDeps, type LinkServerOptions, openLinkServer } from '../../src/link/server';
import type { MasterMessage, WorkerMessage } from '../../src/protocol/link';
import { openScratch } from './scratch';

export const CHAIN_ID = 31337;
export const OFFER = {
  devices: [{ name: 'test cpu', kind: 'cpu' as const, memoryBytes: 1 }],
  powerCapacity: 10,
};

export function newWallet(chainId = CHAIN_ID): Promise<Wallet> {
  return openWallet({ privateKey: randomBytes(32).toString('hex') }, chainId);
}

/** Less than the timeout of a test, so that a failing test also ends the loop. */
const LIMIT_MS = 50_000;

/** Polls until the probe returns a value, and returns it. */
export async function until<T>(probe: () => T | undefined | false): Promise<T> {
  for (const end = Date.now() + LIMIT_MS; ; ) {
    const value = probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`Waited in vain for ${probe}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A logger that keeps the error codes of warnings and errors, and their sentences. */
export function codeLogger(): Logger & { codes: string[]; lines: string[] } {
  const codes: string[] = [];
  const lines: string[] = [];
  const log = (_message: string, _fields?: unknown, error?: unknown) => {
    const code = (error as { detail?: { code?: string; by?: string } } | undefined)?.detail;
    if (code?.code) codes.push(code.by ?? code.code);
    lines.push(describeError(error));
  };
  const logger = { ...silentLogger, codes, lines, error: log, warn: log };
  return { ...logger, child: () => logger };
}

export interface TestServer extends AsyncDisposable {
  link: LinkServer;
  port: number;
  url: string;
  wallet: Wallet;
  blobs: BlobStore;
  logger: ReturnType<typeof codeLogger>;
  messages: { peer: Peer; message: WorkerMessage }[];
  connects: Peer[];
  closes: { peer: Peer; reason: string }[];
  /** Waits for the worker's connection. */
  peer(worker: Address): Promise<Peer>;
}

/** Opens a master's link on a free port, with its own blob store. */
export async function openTestServer(
  options: Partial<LinkServerOptions> = {},
  overrides: Partial<LinkServerDeps> & { wallet?: Wallet } = {},
): Promise<TestServer> {
  const scratch = await openScratch();
  const server = createServer();
  const wallet = overrides.wallet ?? (await newWallet());
  const blobs = new BlobStore(scratch.path);
  const logger = codeLogger();
  const messages: TestServer['messages'] = [];
  const connects: Peer[] = [];
  const closes: TestServer['closes'] = [];
  const link = openLinkServer(
    { server, path: '/link', chainId: CHAIN_ID, version: '0.1.0', heartbeatMs: 1_000, ...options },
    {
      recoverTyped,
      blobs,
      clientAddress: clientBehind([]),
      isAllowedIp: () => true,
      isBlocked: () => false,
      mayPull: () => true,
      logger,
      clock: systemClock,
      handlers: {
        onConnect: (peer) => void connects.push(peer),
        onMessage: (peer, message) => void messages.push({ peer, message }),
        onClose: (peer, reason) => void closes.push({ peer, reason }),
      },
      ...overrides,
      wallet,
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    link,
    port,
    url: `ws://127.0.0.1:${port}/link`,
    wallet,
    blobs,
    logger,
    messages,
    connects,
    closes,
    peer: (worker) => until(() => link.peers.get(worker)),
    async [Symbol.asyncDispose]() {
      await link[Symbol.asyncDispose]();
      server.close();
      await once(server, 'close');
      await scratch[Symbol.asyncDispose]();
    },
  };
}

export interface TestClient extends AsyncDisposable {
  link: LinkClient;
  wallet: Wallet;
  blobs: BlobStore;
  logger: ReturnType<typeof codeLogger>;
  messages: MasterMessage[];
  welcomes: Address[];
  closes: string[];
  pins: Address[];
}

/** Opens a worker's link with its own blob store and short pauses between attempts. */
export async function openTestClient(
  url: string,
  options: Partial<LinkClientOptions> = {},
  overrides: Partial<LinkClientDeps> & { wallet?: Wallet } = {},
): Promise<TestClient> {
  const scratch = await openScratch();
  const wallet = overrides.wallet ?? (await newWallet());
  const blobs = new BlobStore(scratch.path);
  const logger = codeLogger();
  const messages: MasterMessage[] = [];
  const welcomes: Address[] = [];
  const closes: string[] = [];
  const pins: Address[] = [];
  const link = openLinkClient(
    {
      url,
      chainId: CHAIN_ID,
      version: '0.1.0',
      backoffMs: { first: 10, last: 50 },
      refusedPauseMs: 300,
      ...options,
    },
    {
      recoverTyped,
      blobs,
      mayPull: () => true,
      offer: () => OFFER,
      pinned: { load: async () => pins.at(-1), save: async (master) => void pins.push(master) },
      handlers: {
        onWelcome: (master) => void welcomes.push(master.address),
        onMessage: (message) => void messages.push(message),
        onClose: (reason) => void closes.push(reason),
      },
      logger,
      clock: systemClock,
      ...overrides,
      wallet,
    },
  );
  return {
    link,
    wallet,
    blobs,
    logger,
    messages,
    welcomes,
    closes,
    pins,
    async [Symbol.asyncDispose]() {
      await link[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}
