/** Counts the connections of the HTTP server, per address. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { ipGuard } from './ip-guard';

/** Connections per address; many workers may share one address behind a router. */
const MAX_PER_IP = 256;
const LOOPBACK = ['127.0.0.0/8', '::1'];

/**
 * Counts a server's connections, upgraded ones too, and refuses more from an address that has too many.
 * Trusted proxies and this machine itself, which may be one, are exempt: they forward everybody's requests.
 */
export function trackConnections(server: Server, trustProxy: readonly string[]): { destroyAll(): void } {
  const isExempt = ipGuard([...LOOPBACK, ...trustProxy]);
  const sockets = new Set<Socket>();
  const perIp = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const ip = socket.remoteAddress ?? '';
    const held = perIp.get(ip) ?? 0;
    if (held >= MAX_PER_IP && !isExempt(ip)) return void socket.destroy();
    sockets.add(socket);
    perIp.set(ip, held + 1);
    socket.once('close', () => {
      sockets.delete(socket);
      const left = (perIp.get(ip) ?? 1) - 1;
      if (left > 0) perIp.set(ip, left);
      else perIp.delete(ip);
    });
  });
  return {
    destroyAll: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}
