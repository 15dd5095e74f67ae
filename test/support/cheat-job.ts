/** A real master with real workers, one of which cheats: real link, store and Python, but no chain. */

import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { applyEvents } from '../../src/app/chain-follower';
import { BlobStore } from '../../src/blobs/blob-store';
import { recoverTyped, type Wallet } from '../../src/chain/sending/wallet';
import type { Address, JobId } from '../../src/domain/ids';
import { Fleet } from '../../src/fleet/fleet';
import { clientBehind } from '../../src/http/client-address';
import { type Clock, systemClock } from '../../src/lib/clock';
import type { Logger } from '../../src/lib/logger';
import { silentLogger } from '../../src/lib/logger';
import type { Peer } from '../../src/link/gate';
import { openLinkServer } from '../../src/link/server';
import { type Master, openMaster } from '../../src/master/master';
import { Manifest } from '../../src/protocol/manifest';
import { openTrainer } from '../../src/runner/trainer';
import { openStore, type Store } from '../../src/store/open';
import { openSeat, type Seat } from './cheat-seat';
import { type CheatKind, cheatPlans } from './cheats';
import { CHAIN_ID, newWallet } from './link-pair';
import { PlayedChain } from './master-rig-chain';
import { makeText } from './network';
import { noBases } from './no-bases';
import { PlayedDisk } from './played-disk';
import { fastDir, openScratch } from './scratch';
import { jobId } from './worker-messages';

export interface CheatJobOptions {
  /** All workers, the cheating ones included. */
  workers: number;
  /** Nobody cheats without one. */
  kind?: CheatKind | undefined;
  /** Rounds of the job, about; default 8. */
  rounds?: number | undefined;
  /** The job's `audit.rate`; default that of jobs. */
  auditRate?: number | undefined;
  /** Stands for the Python interpreter; see `openForkServer`. */
  python: string;
}

/** How the job went for one worker. */
export interface WorkerOutcome {
  address: Address;
  isCheat: boolean;
  /** Leases: answered, refused by the gate or a bad fold, and merged but not paid. */
  answered: number;
  refused: number;
  refuted: number;
  /** Tokens: merged, and of leases of others done again. */
  merged: number;
  audited: number;
  /** Tokens its pay follows, audits included. */
  paid: number;
  /** Why it was taken off the job. */
  dismissals: string[];
}

export interface CheatJobOutcome {
  state: string;
  reason?: string | undefined;
  seconds: number;
  rounds: number;
  loss: { start: number; end: number } | undefined;
  workers: WorkerOutcome[];
  audits: { equal: number; different: number; tokens: number };
  /** What the master warned of. */
  warnings: string[];
}

const STEPS = 10;
const model = { layers: 1, heads: 1, width: 32, context: 32 };
const BATCH = 4;
const VALIDATION = 0.1;
/** Milliseconds that stand for a second of the chain. */
const CHAIN_SECOND_MS = 10;
const LIMIT_MS = 120_000;

/** Runs one job from its request until its result is submitted. */
export async function runCheatJob(options: CheatJobOptions): Promise<CheatJobOutcome> {
  await using stack = new AsyncDisposableList();
  const scratch = stack.add(await openScratch(fastDir()));
  const master = await openParty(options, scratch.path, stack);
  const { kind, workers } = options;
  const exchange = { dir: scratch.file('exchange') };
  await mkdir(exchange.dir);
  const plan = kind && cheatPlans[kind];
  const cheats = plan?.cheats(exchange) ?? [];
  // Somebody must be honest.
  const total = Math.max(workers, cheats.length + 1);
  const seats: Seat[] = [];
  for (let i = 0; i < total; i++) {
    // The cheats come first: some order or other must be, and wallets are random.
    const cheat = cheats[i] ?? (plan && 'victim' in plan ? plan.victim(exchange) : {});
    // Keys of one owner share an address.
    const ip = i < cheats.length ? '10.0.0.1' : `10.0.1.${i}`;
    const seat = { cheat, isCheat: i < cheats.length, ip, dir: join(scratch.path, `${i}`), microBatch: BATCH };
    seats.push(stack.add(await openSeat(master, { ...seat, python: options.python })));
  }
  await master.until('the workers are connected', async () => master.fleet.idle().length === total);
  master.request();
  await master.until('the job is submitted', async () => master.isOver());
  return report(master, seats);
}

interface Party {
  port: number;
  fleet: Fleet;
  store: Store;
  blobs: BlobStore;
  job: JobId;
  ips: Map<Address, string>;
  lines: LogLine[];
  node: Address;
  master: Master;
  request(): void;
  isOver(): Promise<boolean>;
  until(what: string, check: () => Promise<boolean>): Promise<void>;
}

interface LogLine {
  level: string;
  message: string;
  fields: Record<string, unknown>;
}

class AsyncDisposableList implements AsyncDisposable {
  private readonly things: AsyncDisposable[] = [];

  add<T extends AsyncDisposable>(thing: T): T {
    this.things.push(thing);
    return thing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const thing of this.things.reverse()) await thing[Symbol.asyncDispose]();
  }
}

/** A clock on which the chain's seconds are short. */
const chainClock: Clock = {
  now: () => Date.now() * (1000 / CHAIN_SECOND_MS),
  sleep: (ms, signal) => systemClock.sleep((ms * CHAIN_SECOND_MS) / 1000, signal),
};

async function openParty(options: CheatJobOptions, dir: string, stack: AsyncDisposableList): Promise<Party> {
  const wallet = await newWallet();
  const chain = new PlayedChain(wallet.address, chainClock);
  const store = stack.add(await openStore({ kind: 'sqlite', path: join(dir, 'master.sqlite') }, systemClock));
  const blobs = new BlobStore(join(dir, 'blobs'));
  const lines: LogLine[] = [];
  const logger = keepWarnings(lines);
  const fleet = new Fleet({ logger });
  const stop = new AbortController();
  const { signal } = stop;
  const text = Buffer.from(makeText(textBytes(options)));
  const master = openMaster(rules(dir), {
    ...{ fleet, store, blobs, wallet, logger, signal, chain },
    clock: systemClock,
    disk: new PlayedDisk(),
    storage: {
      size: async () => text.length,
      fetch: () => blobs.addBytes(text),
      publish: async () => undefined,
      ...noBases,
    },
    record: (tx, events) => applyEvents(tx, events),
    openChild: async (spec) => openTrainer(spec, { python: options.python, logger: silentLogger }),
  });
  const ips = new Map<Address, string>();
  const port = await listen({ wallet, blobs, fleet, ips, store }, stack);
  const running = Promise.allSettled([master.run(), follow(chain, master, signal)]);
  stack.add({
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('The test is over.'));
      await running;
    },
  });
  const job = jobId('7');
  const stateOf = async () => (await store.jobs.find(job))?.state ?? 'queued';
  return {
    ...{ port, fleet, store, blobs, job, ips, lines, master, node: wallet.address },
    request() {
      const terms = { deadlineMs: 2 * chainClock.now(), feeWei: 10n ** 19n, fuelLimit: 10n ** 9n };
      chain.request(job, terms, JSON.stringify(params(options)));
    },
    isOver: async () => ['submitted', 'verified', 'failed', 'declined', 'skipped'].includes(await stateOf()),
    async until(what, check) {
      for (const endMs = Date.now() + LIMIT_MS; !(await check()); await systemClock.sleep(10)) {
        if (Date.now() > endMs) throw new Error(`It never came true that ${what}: ${describe(lines)}`);
      }
    },
  };
}

async function listen(
  { wallet, blobs, fleet, ips, store }: Pick<Party, 'blobs' | 'fleet' | 'ips' | 'store'> & { wallet: Wallet },
  stack: AsyncDisposableList,
): Promise<number> {
  const server = createServer();
  const link = openLinkServer(
    { server, path: '/link', chainId: CHAIN_ID, version: '0.1.0', heartbeatMs: 10_000 },
    {
      ...{ wallet, blobs, recoverTyped },
      clientAddress: clientBehind([]),
      isAllowedIp: () => true,
      isBlocked: (worker) => store.workers.isBlocked(worker),
      mayPull: (worker, sha256) => fleet.mayPull(worker, sha256),
      logger: silentLogger,
      clock: systemClock,
      handlers: {
        onConnect(peer: Peer) {
          // All of them dial from this machine, which must not make them one operator.
          Object.defineProperty(peer, 'ip', { value: ips.get(peer.address) ?? peer.ip });
          fleet.onConnect(peer);
        },
        onMessage: (peer, message) => fleet.onMessage(peer, message),
        onClose: (peer, reason) => fleet.onClose(peer, reason),
      },
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.add({
    async [Symbol.asyncDispose]() {
      await link[Symbol.asyncDispose]();
      server.close();
      await once(server, 'close');
    },
  });
  return (server.address() as AddressInfo).port;
}

/** Hands over what becomes final, block by block, as the chain's watcher does. */
async function follow(chain: PlayedChain, master: Master, signal: AbortSignal): Promise<void> {
  let at = 0;
  while (!signal.aborted) {
    const events = chain.eventsAfter(at);
    const [event] = events;
    if (event) {
      at = event.blockNumber;
      await master.applyEvents(events, { number: at, hash: event.blockHash });
    } else await systemClock.sleep(CHAIN_SECOND_MS, signal).catch(() => undefined);
  }
}

function params({ auditRate }: CheatJobOptions): object {
  const audit = auditRate === undefined ? {} : { audit: { rate: auditRate } };
  return { model, batch: BATCH, epochs: 1, validation: VALIDATION, round: { steps: STEPS }, ...audit };
}

/** As much text as the rounds need. */
function textBytes({ rounds = 8, workers }: CheatJobOptions): number {
  return Math.ceil((rounds * workers * STEPS * BATCH * model.context) / (1 - VALIDATION));
}

function rules(dataDir: string) {
  return {
    dataDir,
    device: 'cpu',
    threads: 1,
    batchSize: BATCH,
    epochs: 1,
    maxDatasetBytes: 1 << 24,
    evidenceBytes: 2 ** 30,
    commissionBps: 1000,
    settings: { leaseMs: 8000, graceMs: 1000, resumeMs: 1000 },
    minFeeWei: 0n,
    maxFeeWei: 10n ** 30n,
    cooperative: 'nvm' as const,
    maxJobs: 1,
    memoryBytes: 2 ** 40,
  };
}

function keepWarnings(lines: LogLine[]): Logger {
  const keep = (level: string) => (message: string, fields?: object) =>
    void lines.push({ level, message, fields: { ...fields } });
  const logger: Logger = {
    error: keep('error'),
    warn: keep('warn'),
    info: keep('info'),
    debug: () => undefined,
    child: () => logger,
  };
  return logger;
}

function describe(lines: readonly LogLine[]): string {
  return lines
    .slice(-30)
    .map(({ message, fields }) => `${message} ${JSON.stringify(fields)}`)
    .join('\n');
}

async function report({ store, blobs, job, lines }: Party, seats: readonly Seat[]): Promise<CheatJobOutcome> {
  const row = await store.jobs.find(job);
  const history = await store.jobs.history(job);
  const at = (state: string) => history.find((event) => event.state === state)?.atMs ?? Date.now();
  const text = row?.result && (await readFile(blobs.path(row.result.manifest), 'utf8'));
  const manifest = text === undefined ? undefined : Manifest.parse(JSON.parse(text));
  const leases = manifest?.rounds.flatMap((round) => round.leases) ?? [];
  const audits = manifest?.audits ?? [];
  const ended = (outcome: string) => audits.filter((audit) => audit.outcome === outcome).length;
  const sum = (worker: Address) =>
    leases.filter((lease) => lease.worker === worker).reduce((all, { tokens }) => all + tokens, 0);
  const said = (worker: Address, pattern: RegExp) =>
    lines
      .filter(({ message, fields }) => fields.worker === worker && pattern.test(message))
      .map(({ message, fields }) => `${message}: ${fields.reason}`);
  return {
    state: row?.state ?? 'none',
    reason: row?.reason,
    seconds: (at('exporting') - at('training')) / 1000,
    rounds: manifest?.rounds.length ?? 0,
    loss: manifest?.validationLoss,
    workers: seats.map(({ address, isCheat, answered }) => ({
      address,
      isCheat,
      answered: answered(),
      merged: sum(address),
      audited: audits.filter(({ auditor }) => auditor === address).reduce((all, { tokens }) => all + tokens, 0),
      refuted: leases.filter(({ worker, isRefuted }) => worker === address && isRefuted).length,
      paid: manifest?.payouts.find(({ worker }) => worker === address)?.tokens ?? 0,
      refused: said(address, /rejected/i).length,
      dismissals: said(address, /taken off|failed an audit/i),
    })),
    audits: {
      equal: ended('equal'),
      different: ended('different'),
      tokens: audits.reduce((all, { tokens }) => all + tokens, 0),
    },
    warnings: lines
      .filter(({ level }) => level !== 'info')
      .map(({ message, fields }) => `${message} ${JSON.stringify(fields)}`),
  };
}
