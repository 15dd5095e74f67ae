/** Counts the connections of the HTTP server: in total, per address, and WebSockets apart from the others. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ipGuard } from './ip-guard';

export interface ConnectionLimits {
  /** Of plain connections, and of upgraded ones. */
  maxConnections: number;
  /** Milliseconds for the first byte. */
  firstByteMs: number;
  trustProxy: readonly string[];
}

/** Connections per address; many workers may share one address behind a router. */
const MAX_PER_IP = 256;
const LOOPBACK = ['127.0.0.0/8', '::1'];

/**
 * Refuses connections of an address that has too many. Trusted proxies and this machine itself, which may be
 * one, are exempt: they forward everybody's requests. When all are taken, the oldest that has sent nothing
 * yet makes room, so that silent connections shut nobody out.
 */
export function trackConnections(server: Server, limits: ConnectionLimits): { destroyAll(): void } {
  const { maxConnections, firstByteMs, trustProxy } = limits;
  const isExempt = ipGuard([...LOOPBACK, ...trustProxy]);
  const plain = new Set<Socket>();
  const upgraded = new Set<Socket>();
  const perIp = new Map<string, number>();

  server.on('connection', (socket: Socket) => {
    const ip = socket.remoteAddress ?? '';
    const held = perIp.get(ip) ?? 0;
    const isCrowded = held >= MAX_PER_IP && !isExempt(ip);
    if (isCrowded || !(plain.size < maxConnections || dropSilent(plain))) return void socket.destroy();
    plain.add(socket);
    perIp.set(ip, held + 1);
    const timer = setTimeout(() => {
      if (isSilent(socket)) socket.destroy();
    }, firstByteMs).unref();
    socket.once('close', () => {
      clearTimeout(timer);
      plain.delete(socket);
      upgraded.delete(socket);
      const left = (perIp.get(ip) ?? 1) - 1;
      if (left > 0) perIp.set(ip, left);
      else perIp.delete(ip);
    });
  });
  const countUpgraded = (_request: unknown, socket: Duplex) => {
    plain.delete(socket as Socket);
    if (upgraded.size < maxConnections) upgraded.add(socket as Socket);
    else socket.destroy();
  };
  // Only ahead of another listener: alone, it would keep Node from answering these requests as plain ones.
  server.on('newListener', function join(event: string | symbol) {
    if (event === 'upgrade') server.off('newListener', join).prependListener('upgrade', countUpgraded);
  });
  return {
    destroyAll: () => {
      for (const socket of [...plain, ...upgraded]) socket.destroy();
    },
  };
}

/** Ends the oldest connection that has sent nothing yet; returns whether there was one. */
function dropSilent(plain: Set<Socket>): boolean {
  for (const socket of plain) {
    if (!isSilent(socket)) continue;
    plain.delete(socket);
    socket.destroy();
    return true;
  }
  return false;
}

function isSilent(socket: Socket): boolean {
  return socket.bytesRead === 0;
}
