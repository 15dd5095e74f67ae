/** Several boxes of one owner as one worker: where this one stands, and what those behind the first do. */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../lib/clock';
import { AppError, describeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { TeamPlace, TrainerSpec } from '../protocol/trainer';
import type { Trainer } from '../runner/trainer';

export type TeamError =
  | { code: 'worker/team-unreachable'; rendezvous: string }
  | { code: 'worker/team-address'; rendezvous: string; own: string }
  | { code: 'worker/team-interface'; own: string };

interface TeamSettings {
  boxes: number;
  rank: number;
  /** Host and port of the first box. */
  rendezvous: string;
}

/**
 * Finds the address at which the boxes meet, and the interface that leads there. Throws `worker/team-address`
 * for a first box that has another address, `worker/team-unreachable` for a name or network unknown here.
 */
export async function findPlace({ boxes, rank, rendezvous }: TeamSettings): Promise<TeamPlace> {
  const at = rendezvous.lastIndexOf(':');
  const port = Number(rendezvous.slice(at + 1));
  const host = rendezvous.slice(0, at).replace(/^\[|\]$/g, '');
  const { address, own } = await findWay(host, port).catch((cause) => {
    throw new AppError<TeamError>(
      { code: 'worker/team-unreachable', rendezvous },
      `This box finds no way to team.rendezvous ${rendezvous} (${describeError(cause)}); name an address of box 0 on a network that both are in.`,
      { cause },
    );
  });
  if (rank === 0 && own !== address) {
    throw new AppError<TeamError>(
      { code: 'worker/team-address', rendezvous, own },
      `team.rendezvous is ${rendezvous}, which is no address of this box (that is ${own}), though its team.rank is 0; name an address of box 0.`,
    );
  }
  return { boxes, rank, address, port, interface: interfaceOf(own) };
}

async function findWay(host: string, port: number) {
  const { address } = await lookup(host);
  return { address, own: await addressTowards(address, port) };
}

/** Returns this box's address as another one sees it. Nothing is sent. */
async function addressTowards(address: string, port: number): Promise<string> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  try {
    socket.connect(port, address);
    await once(socket, 'connect');
    return socket.address().address;
  } finally {
    socket.close();
  }
}

function interfaceOf(own: string): string {
  const found = Object.entries(networkInterfaces()).find(([, addresses]) => addresses?.some((a) => a.address === own));
  if (found) return found[0];
  throw new AppError<TeamError>(
    { code: 'worker/team-interface', own },
    `No network interface of this box has the address ${own}, by which it reaches team.rendezvous; name another address of box 0.`,
  );
}

interface MemberOptions {
  dataDir: string;
  device: string;
  processes: number;
  threads(): number;
  place: TeamPlace;
  /** How long processes wait for each other. */
  teamMs: number;
}

interface MemberDeps {
  openChild(spec: TrainerSpec): Trainer;
  clock: Clock;
  logger: Logger;
}

/** How long to wait after a child that failed. */
const RETRY_MS = 1000;

/** Takes part in whatever the first box trains, until the signal. */
export async function runMember(options: MemberOptions, deps: MemberDeps, signal: AbortSignal): Promise<void> {
  const { dataDir, device, processes, threads, place: team, teamMs } = options;
  const workDir = join(dataDir, 'team');
  const stopped = new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined)));
  while (!signal.aborted) {
    const shared = { device, threads: threads(), workDir, processes, team, teamMs };
    await using child = deps.openChild({ kind: 'member', ...shared });
    const error = await Promise.race([child.ended, stopped]);
    if (signal.aborted) return;
    if (error) deps.logger.warn('This box’s part of the team failed; it joins again', {}, error);
    else deps.logger.info('The first box has closed its job');
    await deps.clock.sleep(RETRY_MS, signal).catch(() => undefined);
  }
}
