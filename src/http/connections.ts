import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { ipGuard } from './ip-guard';

/** Connections one address may hold; many workers may share one behind a router. */
const MAX_PER_IP = 256;
/** Our own machine is exempt: a reverse proxy on it speaks for everybody. */
const isLoopback = ipGuard(['127.0.0.0/8', '::1']);

/** Keeps count of a server's connections, upgraded ones too, and refuses those of an address that holds too many. */
export function trackConnections(server: Server): { destroyAll(): void } {
  const sockets = new Set<Socket>();
  const perIp = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const ip = socket.remoteAddress ?? '';
    const held = perIp.get(ip) ?? 0;
    if (held >= MAX_PER_IP && !isLoopback(ip)) return void socket.destroy();
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
