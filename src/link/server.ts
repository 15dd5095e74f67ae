/** The master's side of the link: takes the upgrade requests of an HTTP server, within bounds. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Address } from '../domain/ids';
import { SUBPROTOCOL } from '../protocol/link';
import { type GateDeps, type GateOptions, type Peer, WorkerGate } from './gate';
import { offersSubprotocol, SOCKET_OPTIONS } from './socket';

const MAX_UNPROVEN = 256;

export interface LinkServerOptions extends GateOptions {
  /** Upgrade requests for `path` belong to the link; all others are refused. */
  server: Server;
  path: string;
  /** Sockets in the middle of the handshake; more are refused with 503. Default 256. */
  maxUnproven?: number | undefined;
}

export interface LinkServerDeps extends GateDeps {
  /** Returns the address of the client, which may be behind a proxy. */
  clientAddress(request: IncomingMessage): string;
  isAllowedIp(ip: string): boolean;
}

export interface LinkServer extends AsyncDisposable {
  readonly peers: ReadonlyMap<Address, Peer>;
}

/** Accepts workers on an HTTP server that the caller owns. Close the link before that server. */
export function openLinkServer(options: LinkServerOptions, deps: LinkServerDeps): LinkServer {
  return new UpgradeServer(options, deps);
}

class UpgradeServer implements LinkServer {
  private readonly gate: WorkerGate;
  private readonly sockets = new WebSocketServer({
    noServer: true,
    ...SOCKET_OPTIONS,
    handleProtocols: () => SUBPROTOCOL,
  });
  private unproven = 0;

  constructor(
    private readonly options: LinkServerOptions,
    private readonly deps: LinkServerDeps,
  ) {
    this.gate = new WorkerGate(options, deps);
    options.server.on('upgrade', this.onUpgrade);
  }

  get peers(): ReadonlyMap<Address, Peer> {
    return this.gate.peers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.options.server.off('upgrade', this.onUpgrade);
    this.gate.close();
    const open = [...this.sockets.clients];
    await Promise.all(open.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  }

  private readonly onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const ip = this.deps.clientAddress(request);
    const denied = this.deny(request, ip);
    if (denied) {
      this.deps.logger.warn('Refused a connection', { ip, code: denied.code });
      denyUpgrade(socket, denied);
      return;
    }
    this.unproven += 1;
    const release = once(() => {
      socket.off('close', release);
      this.unproven -= 1;
    });
    socket.once('close', release);
    this.sockets.handleUpgrade(request, socket, head, (webSocket) => void this.greet(webSocket, ip).finally(release));
  };

  private deny(request: IncomingMessage, ip: string): Denial | undefined {
    if (request.url?.split('?')[0] !== this.options.path) {
      return { status: '404 Not Found', code: 'link/unreachable', reason: 'Workers do not connect at this path.' };
    }
    if (!this.deps.isAllowedIp(ip)) {
      return {
        status: '403 Forbidden',
        code: 'link/forbidden-ip',
        reason: `The master's worker_whitelist does not include ${ip}.`,
      };
    }
    if (!offersSubprotocol(request.headers['sec-websocket-protocol'])) {
      return { status: '400 Bad Request', code: 'link/subprotocol', reason: `This master speaks ${SUBPROTOCOL} only.` };
    }
    if (this.unproven >= (this.options.maxUnproven ?? MAX_UNPROVEN)) {
      return {
        status: '503 Service Unavailable',
        code: 'link/busy',
        reason: 'Too many workers are connecting at once; try again.',
      };
    }
    return undefined;
  }

  private greet(socket: WebSocket, ip: string): Promise<void> {
    // A broken frame also emits `close`, but an `error` without a listener would end the process.
    socket.on('error', (error) => this.deps.logger.debug('A socket failed', { ip }, error));
    return this.gate.admit(socket, ip);
  }
}

interface Denial {
  status: string;
  code: string;
  reason: string;
}

/** Answers an upgrade request with the reason as JSON; `dial.ts` reads it. */
function denyUpgrade(socket: Duplex, { status, code, reason }: Denial): void {
  const body = JSON.stringify({ code, reason });
  socket.on('error', () => {});
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}
