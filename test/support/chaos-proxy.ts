/** A TCP proxy that delays, cuts, corrupts or swallows traffic, for tests and benchmarks. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

type Direction = 'toServer' | 'toClient';

/** The faults of one direction. */
export interface Chaos {
  /** How long each piece is on its way; further ones set out meanwhile, as on a real line. */
  latencyMs?: number;
  /** How fast pieces set out, one after the other. */
  bytesPerSecond?: number;
  /** Both sockets are reset after this many bytes of a connection. */
  cutAfter?: number;
  /** The lowest bit of this byte of a connection is flipped. */
  flipBitAt?: number;
  /** Bytes vanish while the sockets stay open: a half-open connection. */
  isSilent?: boolean;
}

export interface ChaosProxy extends AsyncDisposable {
  readonly port: number;
  /** Bytes passed on, over all connections. */
  readonly passed: Record<Direction, number>;
  readonly connections: number;
  /** Connections that were reset by `refuse`. */
  readonly refused: number;
  /** Applies to all bytes that arrive from now on, on open connections too. */
  set(direction: Direction, chaos: Chaos): void;
  /** Resets all connections. */
  cut(): void;
  /** Sets the port to which new connections go. */
  target(port: number): void;
  /** Resets new connections at once until it is called with false. */
  refuse(isRefusing: boolean): void;
}

/** Opens a TCP proxy on 127.0.0.1 to `firstTarget`, without faults at first. */
export async function openChaosProxy(firstTarget: number): Promise<ChaosProxy> {
  let target = firstTarget;
  const chaos: Record<Direction, Chaos> = { toServer: {}, toClient: {} };
  const passed = { toServer: 0, toClient: 0 };
  const sockets = new Set<Socket>();
  let connections = 0;
  let refused = 0;
  let isRefusing = false;

  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const count = (direction: Direction) => (bytes: number) => {
    passed[direction] += bytes;
  };
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    if (isRefusing) {
      refused += 1;
      client.resetAndDestroy();
      return;
    }
    connections += 1;
    const upstream = connect(target, '127.0.0.1');
    track(client);
    track(upstream);
    void pump(client, upstream, () => chaos.toServer, count('toServer'));
    void pump(upstream, client, () => chaos.toClient, count('toClient'));
  });

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    passed,
    get connections() {
      return connections;
    },
    get refused() {
      return refused;
    },
    set(direction, next) {
      chaos[direction] = next;
    },
    cut,
    target(port) {
      target = port;
    },
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

/** Bytes of a direction that may be on their way at once; more wait in the sender's socket. */
const MOST_ON_THE_WAY = 16 * 1024 * 1024;

/** Returns what is left of a piece that begins at byte `seen` of its connection; a shorter one is a cut. */
function treat(piece: Buffer, seen: number, { cutAfter, flipBitAt }: Chaos): Buffer {
  const at = (flipBitAt ?? -1) - seen;
  if (at >= 0 && at < piece.length) piece[at] = (piece[at] ?? 0) ^ 1;
  return cutAfter === undefined ? piece : piece.subarray(0, Math.max(0, cutAfter - seen));
}

async function pump(from: Socket, to: Socket, chaos: () => Chaos, onPassed: (bytes: number) => void): Promise<void> {
  let seen = 0;
  let freeAtMs = 0;
  let onTheWay = 0;
  let arrived = Promise.resolve();
  const arrive = async (piece: Buffer, whole: number, atMs: number) => {
    await until(atMs);
    onTheWay -= whole;
    if (to.destroyed) return;
    onPassed(piece.length);
    if (!to.write(piece)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
    if (piece.length === whole) return;
    from.resetAndDestroy();
    to.resetAndDestroy();
  };
  try {
    for await (const piece of from as AsyncIterable<Buffer>) {
      const { latencyMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY, isSilent, ...rest } = chaos();
      const left = treat(piece, seen, rest);
      seen += piece.length;
      if (isSilent) continue;
      freeAtMs = Math.max(freeAtMs, performance.now()) + (1000 * piece.length) / bytesPerSecond;
      await until(freeAtMs);
      onTheWay += piece.length;
      const atMs = freeAtMs + latencyMs;
      arrived = arrived.then(() => arrive(left, piece.length, atMs));
      arrived.catch(() => undefined); // thrown where it is awaited
      if (onTheWay > MOST_ON_THE_WAY || !latencyMs) await arrived;
    }
    await arrived;
    to.end();
  } catch {
    to.destroy();
  }
}

async function until(atMs: number): Promise<void> {
  const leftMs = atMs - performance.now();
  if (leftMs > 0) await delay(leftMs);
}
