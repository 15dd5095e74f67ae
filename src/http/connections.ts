/** Counts the connections of the HTTP server: in total, per address, and WebSockets apart from the others. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ipGuard } from './ip-guard';

export interface ConnectionLimits {
  /** Of plain connections. */
  maxConnections: number;
  /** Of WebSockets. */
  maxUpgraded: number;
  /** Milliseconds for the first byte. */
  firstByteMs: number;
  trustProxy: readonly string[];
}

/** Connections per address; many workers may share one address behind a router. */
const MAX_PER_IP = 256;
/** Looks at the connections in the time for a first byte: in small steps, as many may be ended in each. */
const SWEEPS = 40;
const LOOPBACK = ['127.0.0.0/8', '::1'];

/**
 * Refuses connections of an address that has too many. Trusted proxies and this machine itself, which may be
 * one, are exempt: they forward everybody's requests. When all are taken, the oldest that has sent nothing
 * yet makes room, so that silent connections shut nobody out.
 */
export function trackConnections(server: Server, limits: ConnectionLimits): { destroyAll(): void } {
  return new Connections(server, limits);
}

interface Plain {
  socket: Socket;
  sinceMs: number;
}

/** Keeps little of each: a master has thousands of them. */
class Connections {
  /** By the client's address and port, the oldest first: above TLS, the same connection is another socket. */
  private readonly plain = new Map<string, Plain>();
  private readonly upgraded = new Map<string, Duplex>();
  private readonly perIp = new Map<string, number>();
  private readonly isExempt: (ip: string) => boolean;

  constructor(
    server: Server,
    private readonly limits: ConnectionLimits,
  ) {
    const { firstByteMs, trustProxy } = limits;
    this.isExempt = ipGuard([...LOOPBACK, ...trustProxy]);
    const sweep = setInterval(() => {
      const beforeMs = performance.now() - firstByteMs;
      // After what a busy process has not read yet: a client is not silent because this side was slow.
      setImmediate(() => this.dropSilent(beforeMs));
    }, firstByteMs / SWEEPS).unref();
    server.on('close', () => clearInterval(sweep));
    server.on('connection', (socket: Socket) => this.add(socket));
    const countUpgraded = (_request: unknown, socket: Socket) => this.upgrade(socket);
    // Only ahead of another listener: alone, it would keep Node from answering these requests as plain ones.
    server.on('newListener', function join(event: string | symbol) {
      if (event === 'upgrade') server.off('newListener', join).prependListener('upgrade', countUpgraded);
    });
  }

  destroyAll(): void {
    for (const { socket } of this.plain.values()) socket.destroy();
    for (const socket of this.upgraded.values()) socket.destroy();
  }

  private add(socket: Socket): void {
    const ip = socket.remoteAddress ?? '';
    const held = this.perIp.get(ip) ?? 0;
    const isCrowded = held >= MAX_PER_IP && !this.isExempt(ip);
    if (isCrowded || !this.hasRoom()) return void socket.destroy();
    const name = nameOf(socket);
    this.plain.set(name, { socket, sinceMs: performance.now() });
    this.perIp.set(ip, held + 1);
    socket.once('close', () => this.remove(name, ip));
  }

  private upgrade(socket: Socket): void {
    const name = nameOf(socket);
    this.plain.delete(name);
    if (this.upgraded.size < this.limits.maxUpgraded) this.upgraded.set(name, socket);
    else socket.destroy();
  }

  private remove(name: string, ip: string): void {
    this.plain.delete(name);
    this.upgraded.delete(name);
    const left = (this.perIp.get(ip) ?? 1) - 1;
    if (left > 0) this.perIp.set(ip, left);
    else this.perIp.delete(ip);
  }

  private hasRoom(): boolean {
    return this.plain.size < this.limits.maxConnections || this.dropSilent(Number.POSITIVE_INFINITY, 1);
  }

  /** Ends the oldest connections that were opened before and have sent nothing; false when there is none. */
  private dropSilent(beforeMs: number, most = Number.POSITIVE_INFINITY): boolean {
    let dropped = 0;
    for (const [name, { socket, sinceMs }] of this.plain) {
      if (sinceMs > beforeMs || dropped === most) break;
      if (socket.bytesRead > 0) continue;
      this.plain.delete(name);
      socket.destroy();
      dropped += 1;
    }
    return dropped > 0;
  }
}

function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
