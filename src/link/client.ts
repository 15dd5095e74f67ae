import type { Address } from '../domain/ids';
import type { Logger } from '../lib/logger';
import type { BlobRef, MasterMessage, Offer, WorkerMessageIn } from '../protocol/link';
import type { LinkBlobs, LinkWallet, PullOptions, RecoverTyped } from './ports';

export interface LinkClientOptions {
  /** `ws://` or `wss://`, with the path `/link`. */
  url: string;
  chainId: number;
  /** The only master we sign for. Without it the first master met is pinned. */
  masterAddress?: Address | undefined;
  /** Of this program. */
  version: string;
  /** Pauses between attempts: doubled from the first to the last, with jitter. Default 200 and 15,000. */
  backoffMs?: { first: number; last: number } | undefined;
  /** Pause after a refusal. Default 30,000. */
  refusedPauseMs?: number | undefined;
}

export interface LinkClientDeps {
  wallet: LinkWallet;
  recoverTyped: RecoverTyped;
  blobs: LinkBlobs;
  /** Asked at every connection, so that what we hold is told as it is now. `version` is filled in by the link. */
  offer(): Omit<Offer, 'version'> | Promise<Omit<Offer, 'version'>>;
  /** Remembers the first master met; unused when `masterAddress` is set. */
  pinned: { load(): Promise<Address | undefined>; save(master: Address): Promise<void> };
  handlers: LinkClientHandlers;
  logger: Logger;
  /** Ends the link for good. */
  signal?: AbortSignal | undefined;
}

export interface LinkClientHandlers {
  onWelcome(master: { address: Address; session: string }): void;
  /** Everything but heartbeats and transfers, which the link keeps to itself. */
  onMessage(message: MasterMessage): void;
  onClose(reason: string): void;
}

/** The worker's side of the link: always one socket, or on its way to one. */
export interface LinkClient extends AsyncDisposable {
  readonly connected: boolean;
  /** False when there is no socket: say it again in `onWelcome` if it still matters. */
  send(message: WorkerMessageIn): boolean;
  /**
   * Brings a blob of the master into our store, across as many connections as it takes. Rejects when the master does not
   * have it (`link/unavailable`), when it arrives wrong three times (`link/corrupt`), or with the signal's reason.
   */
  pull(blob: BlobRef, options?: PullOptions): Promise<void>;
}

/** Starts connecting at once and goes on until it is disposed of. */
export declare function openLinkClient(options: LinkClientOptions, deps: LinkClientDeps): LinkClient;
