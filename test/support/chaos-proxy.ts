import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

type Direction = 'toServer' | 'toClient';

/** What happens to the bytes of one direction. */
export interface Chaos {
  /** Each piece waits this long. */
  latencyMs?: number;
  bytesPerSecond?: number;
  /** Both sockets are reset after this many bytes of a connection. */
  cutAfter?: number;
  /** The lowest bit of this byte of a connection is turned over. */
  flipBitAt?: number;
  /** Bytes vanish while the sockets stay open: a half-open connection. */
  isSilent?: boolean;
}

export interface ChaosProxy extends AsyncDisposable {
  readonly port: number;
  /** Bytes that went through, over all connections. */
  readonly passed: Record<Direction, number>;
  readonly connections: number;
  /** In force for what comes from now on, of present connections too. */
  set(direction: Direction, chaos: Chaos): void;
  /** Resets all connections. */
  cut(): void;
  /** New connections are reset at once, until it is called with false. */
  refuse(isRefusing: boolean): void;
}

/** A TCP proxy on 127.0.0.1 that treats its traffic as badly as it is told to. */
export async function openChaosProxy(target: number): Promise<ChaosProxy> {
  const chaos: Record<Direction, Chaos> = { toServer: {}, toClient: {} };
  const passed = { toServer: 0, toClient: 0 };
  const sockets = new Set<Socket>();
  let connections = 0;
  let isRefusing = false;

  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    if (isRefusing) {
      client.resetAndDestroy();
      return;
    }
    connections += 1;
    const upstream = connect(target, '127.0.0.1');
    track(client);
    track(upstream);
    void pump('toServer', client, upstream);
    void pump('toClient', upstream, client);
  });

  async function pump(direction: Direction, from: Socket, to: Socket): Promise<void> {
    let seen = 0;
    try {
      for await (const piece of from as AsyncIterable<Buffer>) {
        const { latencyMs, bytesPerSecond, cutAfter, flipBitAt, isSilent } = chaos[direction];
        if (isSilent) continue;
        if (latencyMs) await delay(latencyMs);
        if (bytesPerSecond) await delay((piece.length / bytesPerSecond) * 1000);
        if (flipBitAt !== undefined && flipBitAt >= seen && flipBitAt < seen + piece.length) {
          const at = flipBitAt - seen;
          piece[at] = (piece[at] ?? 0) ^ 1;
        }
        const keep = cutAfter === undefined ? piece.length : Math.min(piece.length, cutAfter - seen);
        seen += piece.length;
        if (keep > 0) {
          passed[direction] += keep;
          if (!to.write(piece.subarray(0, keep))) await Promise.race([once(to, 'drain'), once(to, 'close')]);
        }
        if (keep < piece.length) {
          from.resetAndDestroy();
          to.resetAndDestroy();
        }
      }
      to.end();
    } catch {
      to.destroy();
    }
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    passed,
    get connections() {
      return connections;
    },
    set(direction, next) {
      chaos[direction] = next;
    },
    cut,
    refuse(next) {
      isRefusing = next;
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
