/** Jobs one after another while a seed decides what is killed or taken away, and when. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { JobId } from '../../src/domain/ids';
import type { JobDetails } from '../../src/protocol/admin';
import { type ChaosProxy, openChaosProxy } from './chaos-proxy';
import { killChildren, killDaemon } from './crash-run';
import { type MysqlOptions, startMariadb } from './mariadb';
import { makeText, type Network, startNetwork, tinyParams } from './network';
import { supplyBehind } from './outages';

export interface ChaosReport {
  jobs: number;
  faults: Record<string, number>;
  /** Merged blocks a second, undisturbed and with faults. */
  undisturbed: number;
  disturbed: number;
  goodput: number;
  wrongBlocks: number;
  /** How jobs ended that were not verified. */
  unfinished: string[];
  /** Growth of the master's memory in MB a minute; undefined when no life of it was long enough. */
  slopeMb: number | undefined;
}

export interface ChaosOptions {
  minutes: number;
  /** Mean seconds between two faults. */
  meanS: number;
  seed: number;
  log(line: string): void;
}

// Some 4,000 blocks, so that a job takes about a minute.
const TEXT = makeText(600_000);
const params = { ...tinyParams, round: { steps: 100 } };
const POLL_MS = 500;
/** Longer than any fault: what fails for longer is no fault's doing. */
const FAULT_MS = 120_000;
const OUTAGE_MS = { least: 2000, most: 15_000 };
/** A life of the master that is shorter says nothing of its growth. */
const MIN_LIFE_MS = 60_000;
const ENDS = ['verified', 'declined', 'failed', 'skipped'];

interface System {
  network: Network;
  queue: ChaosProxy;
  chain: ChaosProxy;
}

interface Tally {
  jobs: number;
  /** Blocks of verified jobs. */
  merged: number;
  seconds: number;
  wrongBlocks: number;
  unfinished: string[];
}

export async function runChaos({ minutes, meanS, seed, log }: ChaosOptions): Promise<ChaosReport> {
  await using server = await startMariadb();
  const { kind: _, ...database } = await server.createDatabase();
  await using queue = await openChaosProxy(database.port);
  await using chain = await openChaosProxy(1);
  await using network = await openNetwork(database, queue, chain);
  const system = { network, queue, chain };
  const text = await network.writeText('text.txt', TEXT);
  log('Undisturbed');
  const quiet = await runJobs(network, text, minutes * 12_000, log);
  log('With faults');

  const random = randomOf(seed);
  const stop = new AbortController();
  const faults: Record<string, number> = {};
  const faulting = makeFaults(system, { random, meanS, faults, signal: stop.signal, log });
  const memory = watchMemory(network, stop.signal);
  const loud = await runJobs(network, text, minutes * 60_000, log);
  stop.abort();
  await faulting;
  const [undisturbed, disturbed] = [quiet.merged / quiet.seconds, loud.merged / loud.seconds];
  return {
    jobs: quiet.jobs + loud.jobs,
    faults,
    undisturbed,
    disturbed,
    goodput: disturbed / undisturbed,
    wrongBlocks: quiet.wrongBlocks + loud.wrongBlocks,
    unfinished: [...quiet.unfinished, ...loud.unfinished],
    slopeMb: await memory,
  };
}

function openNetwork(database: Omit<MysqlOptions, 'kind'>, queue: ChaosProxy, chain: ChaosProxy): Promise<Network> {
  const master = { external_db: { ...database, port: queue.port } };
  return startNetwork({ workers: 2, chainProxy: chain, master });
}

/** Requests one job after another, until the time is over and the last one has come to its end. */
async function runJobs(network: Network, text: string, ms: number, log: (line: string) => void): Promise<Tally> {
  const startedMs = Date.now();
  const tally: Tally = { jobs: 0, merged: 0, seconds: 0, wrongBlocks: 0, unfinished: [] };
  while (Date.now() < startedMs + ms) {
    const { state, reason, ledger } = await untilOver(network, await request(network, text));
    const wrong = (ledger?.perEpoch ?? []).filter(({ min, max }) => min !== 1 || max !== 1);
    tally.jobs += 1;
    if (state === 'verified') tally.merged += ledger?.blocks ?? 0;
    else tally.unfinished.push(`${state} (${reason})`);
    tally.wrongBlocks += wrong.reduce((sum, { blocks }) => sum + blocks, 0);
    log(`Job ${tally.jobs} ${state}`);
  }
  return { ...tally, seconds: (Date.now() - startedMs) / 1000 };
}

async function untilOver(network: Network, jobId: JobId): Promise<JobDetails> {
  for (;;) {
    await delay(POLL_MS);
    // A master that is down for a moment answers later.
    const job = await network.admin.job(jobId).catch(() => undefined);
    if (job && ENDS.includes(job.state)) return job;
  }
}

/** A request that a fault has met is made again; the fee leaves the requester enough for a long run. */
async function request(network: Network, text: string): Promise<JobId> {
  for (const endMs = Date.now() + FAULT_MS; ; await delay(POLL_MS)) {
    try {
      return await network.request(text, params, '1emt');
    } catch (error) {
      if (Date.now() > endMs) throw error;
    }
  }
}

const kinds = ['master', 'worker', 'verifier', 'child', 'database', 'chain'] as const;

async function makeFaults(
  { network, queue, chain }: System,
  {
    random,
    meanS,
    faults,
    signal,
    log,
  }: { random(): number; meanS: number; faults: Record<string, number>; signal: AbortSignal; log(line: string): void },
): Promise<void> {
  for (;;) {
    await delay(-Math.log(1 - random()) * meanS * 1000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const kind = kinds[Math.floor(random() * kinds.length)] ?? 'child';
    faults[kind] = (faults[kind] ?? 0) + 1;
    log(`Fault: ${kind}`);
    if (kind === 'child') killChildren(network);
    else if (kind === 'database' || kind === 'chain') {
      const supply = supplyBehind(kind === 'chain' ? chain : queue);
      await supply.take();
      await delay(OUTAGE_MS.least + random() * (OUTAGE_MS.most - OUTAGE_MS.least));
      await supply.giveBack();
    } else await killDaemon(network, kind);
  }
}

/** Returns the mean growth of the master's memory in MB a minute, over its lives that were long enough. */
async function watchMemory(network: Network, signal: AbortSignal): Promise<number | undefined> {
  const lives = new Map<number, { atMs: number; mb: number }[]>();
  while (!signal.aborted) {
    const { pid } = network.master;
    const mb = residentMb(pid);
    if (mb !== undefined) lives.set(pid, [...(lives.get(pid) ?? []), { atMs: Date.now(), mb }]);
    await delay(5000, undefined, { signal }).catch(() => undefined);
  }
  const slopes = [...lives.values()].flatMap((samples) => {
    // What a process takes while it starts is no growth.
    const settled = samples.filter(({ atMs }) => atMs - (samples[0]?.atMs ?? 0) > MIN_LIFE_MS / 2);
    const lastsMs = (settled.at(-1)?.atMs ?? 0) - (settled[0]?.atMs ?? 0);
    return lastsMs > MIN_LIFE_MS ? [{ lastsMs, slope: slopeOf(settled) }] : [];
  });
  const totalMs = slopes.reduce((sum, { lastsMs }) => sum + lastsMs, 0);
  if (totalMs === 0) return undefined;
  return slopes.reduce((sum, { lastsMs, slope }) => sum + slope * lastsMs, 0) / totalMs;
}

function residentMb(pid: number): number | undefined {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  } catch {
    return undefined;
  }
}

/** Least squares, in MB a minute. */
function slopeOf(samples: readonly { atMs: number; mb: number }[]): number {
  const mean = (of: (sample: { atMs: number; mb: number }) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [t, m] = [mean(({ atMs }) => atMs), mean(({ mb }) => mb)];
  const covariance = mean(({ atMs, mb }) => (atMs - t) * (mb - m));
  return (60_000 * covariance) / mean(({ atMs }) => (atMs - t) ** 2);
}

/** Numbers from 0 to 1 that follow from the seed (Park and Miller). */
function randomOf(seed: number): () => number {
  const MODULUS = 2147483647;
  let state = (seed % (MODULUS - 1)) + 1;
  return () => {
    state = (state * 48271) % MODULUS;
    return state / MODULUS;
  };
}
