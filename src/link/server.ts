import type { Server } from 'node:http';
import type { Address } from '../domain/ids';
import type { Logger } from '../lib/logger';
import type { BlobRef, MasterMessageIn, Offer, WorkerMessage } from '../protocol/link';
import type { LinkBlobs, LinkWallet, PullOptions, RecoverTyped } from './ports';

/** A worker that proved its address, as long as its socket lives. */
export interface Peer {
  readonly address: Address;
  readonly offer: Offer;
  readonly ip: string;
  readonly session: string;
  readonly connectedAtMs: number;
  /** Does nothing when the socket is gone; the worker's return tells the master. */
  send(message: MasterMessageIn): void;
  /**
   * Brings a blob of the worker into our store; resolves at once when it is there already. Rejects with `link/cut` when
   * the socket goes; pulling again from the worker's next peer goes on where it stopped.
   */
  pull(blob: BlobRef, options?: PullOptions): Promise<void>;
  /** Tells the worker why and hangs up; it will try again after a longer pause. */
  close(reason: string): void;
}

export interface LinkServerOptions {
  /** Upgrade requests on `path` are the link's; all others are refused. */
  server: Server;
  path: string;
  chainId: number;
  /** Of this program; another major version is refused. */
  version: string;
  heartbeatMs: number;
  /** Milliseconds from the TCP connection to a proven address. Default 5,000. */
  handshakeMs?: number | undefined;
  /** Sockets that have not proved themselves yet. More are refused with 503. Default 256. */
  maxUnproven?: number | undefined;
}

export interface LinkServerDeps {
  wallet: LinkWallet;
  recoverTyped: RecoverTyped;
  blobs: LinkBlobs;
  isAllowedIp(ip: string): boolean;
  isBlocked(worker: Address): boolean | Promise<boolean>;
  handlers: LinkServerHandlers;
  logger: Logger;
}

export interface LinkServerHandlers {
  onConnect(peer: Peer): void;
  /** Everything but heartbeats and transfers, which the link keeps to itself. */
  onMessage(peer: Peer, message: WorkerMessage): void;
  onClose(peer: Peer, reason: string): void;
}

export interface LinkServer extends AsyncDisposable {
  readonly peers: ReadonlyMap<Address, Peer>;
}

export declare function openLinkServer(options: LinkServerOptions, deps: LinkServerDeps): LinkServer;
