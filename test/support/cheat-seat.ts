/** A real worker with a real link and Python child, which may cheat. */
import { join } from 'node:path';
import { BlobStore } from '../../src/blobs/blob-store';
import { recoverTyped } from '../../src/chain/sending/wallet';
import { type Cheat, openCheating } from '../../src/demo/cheat';
import type { Address } from '../../src/domain/ids';
import { systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { type LinkClient, openLinkClient } from '../../src/link/client';
import type { TrainerSpec } from '../../src/protocol/trainer';
import { openTrainer } from '../../src/runner/trainer';
import { openWorker, type Worker } from '../../src/worker/worker';
import { CHAIN_ID, newWallet, OFFER } from './link-pair';
import { openTestBases } from './test-bases';

export interface Seat extends AsyncDisposable {
  address: Address;
  isCheat: boolean;
  /** Leases it committed an update for. */
  answered(): number;
}

interface SeatOptions {
  cheat: Cheat;
  isCheat: boolean;
  /** The address it seems to dial from: all of them dial from this machine. */
  ip: string;
  dir: string;
  python: string;
  microBatch: number;
}

const patient = { wait_data: 60_000, idle: 60_000, learning: 60_000, checkpoint: 60_000, team: 60_000 };

/** Has a worker dial a master. */
export async function openSeat(
  { port, ips, node }: { port: number; ips: Map<Address, string>; node: Address },
  { cheat, isCheat, ip, dir, python, microBatch }: SeatOptions,
): Promise<Seat> {
  const wallet = await newWallet();
  ips.set(wallet.address, ip);
  const blobs = new BlobStore(join(dir, 'blobs'));
  let answered = 0;
  const open = (spec: TrainerSpec) => openTrainer(spec, { python, logger: silentLogger });
  const worker: Worker = await openWorker(
    { dataDir: dir, device: 'cpu', processes: 1, threads: () => 1, microBatch, timeout: patient },
    {
      blobs,
      bases: openTestBases(dir, blobs),
      send(message) {
        if (message.type === 'lease.commit') answered += 1;
        return link.send(message);
      },
      pull: (blob, options) => link.pull(blob, options),
      room: async () => ({ memoryBytes: 2 ** 33, devices: 1, diskBytes: 2 ** 33 }),
      receipts: { keep: () => undefined },
      openChild: openCheating(cheat, open),
      clock: systemClock,
      logger: silentLogger,
    },
  );
  const url = `ws://127.0.0.1:${port}/link`;
  const devices = [{ name: 'test cpu', kind: 'cpu' as const, memoryBytes: 2 ** 33 }];
  const powerCapacity = OFFER.powerCapacity * (cheat.boast ?? 1);
  const link: LinkClient = openLinkClient(
    { url, chainId: CHAIN_ID, version: '0.1.0', masterAddress: node, backoffMs: { first: 10, last: 50 } },
    {
      ...{ wallet, recoverTyped, blobs },
      mayPull: (sha256) => worker.serves(sha256),
      offer: () => ({ devices, powerCapacity, held: worker.held() }),
      pinned: { load: async () => undefined, save: async () => undefined },
      handlers: worker,
      logger: silentLogger,
      clock: systemClock,
    },
  );
  return {
    address: wallet.address,
    isCheat,
    answered: () => answered,
    async [Symbol.asyncDispose]() {
      await link[Symbol.asyncDispose]();
      await worker[Symbol.asyncDispose]();
    },
  };
}
