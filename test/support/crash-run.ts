/** Halts a whole system at named points of a job, kills one of its processes there, and lets it go on. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CrashPoint, crashPoints } from '../../src/lib/crash-point';
import type { Network } from './network';
import { childrenOf, isHalted, isRunning, waitUntilGone } from './processes';

/** What is killed: a daemon or all Python children. At its points the verifier stands in for the worker. */
export type Victim = 'master' | 'worker' | 'child';

const POLL_MS = 10;
/** Less than the test's own limit, so that a failure says which points are left. */
const LIMIT_MS = 500_000;

const { base: _base, ...ofEveryJob } = crashPoints;
const allPoints: readonly CrashPoint[] = Object.values(ofEveryJob).flat();

/** Points that are armed for one job; the processes of a network must have been started with it open. */
export class CrashRun {
  /** For the processes that are to meet the points. */
  readonly env: NodeJS.ProcessEnv;

  /** `dir` is made and emptied by `arm`. */
  constructor(private readonly dir: string) {
    this.env = { EMETH_CRASH_POINTS: dir };
  }

  /** Arms all points that only a job passes; `passing` of the sender's, which every act passes. */
  arm(passing: number): void {
    rmSync(this.dir, { recursive: true, force: true });
    for (const point of allPoints) if (!isReaders(point)) this.armOne(point, isSenders(point) ? passing : 1);
  }

  /** Arms the points that the chain's every block passes. */
  armReaders(): void {
    for (const point of allPoints) if (isReaders(point)) this.armOne(point, 1);
  }

  /** Kills the victim at each armed point that is met, until the check holds. */
  async killUntil(network: Network, victim: Victim | undefined, check: () => Promise<boolean>): Promise<void> {
    const endMs = Date.now() + LIMIT_MS;
    const handled = new Set<string>();
    for (let looks = 0; ; looks++) {
      for (const point of this.met()) {
        if (!victim || handled.has(point)) continue;
        handled.add(point);
        await this.killAt(network, point, victim);
      }
      if (looks % 20 === 0 && (await check().catch(() => false))) return;
      if (Date.now() > endMs) throw new Error(`The job does not end; not met: ${this.unmet().join(', ')}`);
      await delay(POLL_MS);
    }
  }

  /** Lists the points that were armed and not met. */
  unmet(): CrashPoint[] {
    const met = new Set(this.met());
    return allPoints.filter((point) => !met.has(point));
  }

  private armOne(point: CrashPoint, passing: number): void {
    mkdirSync(this.dir, { recursive: true });
    rmSync(join(this.dir, `${point}.met`), { force: true });
    writeFileSync(join(this.dir, point), `stop ${passing}`);
  }

  private met(): CrashPoint[] {
    const files = new Set(existsSync(this.dir) ? readdirSync(this.dir) : []);
    return allPoints.filter((point) => files.has(`${point}.met`));
  }

  /** Halts the next process that passes the point, or a later one, and returns how to let it go on. */
  async halt(point: CrashPoint, passing = 1): Promise<() => void> {
    this.armOne(point, passing);
    while (!existsSync(join(this.dir, `${point}.met`))) await delay(POLL_MS);
    const pid = await this.haltedAt(point);
    return () => void process.kill(pid, 'SIGCONT');
  }

  private async haltedAt(point: CrashPoint): Promise<number> {
    const pid = Number(readFileSync(join(this.dir, `${point}.met`), 'utf8').split(' ')[1]);
    // It may have been the victim of another point at which another process was halted meanwhile.
    while (isRunning(pid) && !isHalted(pid)) await delay(POLL_MS);
    return pid;
  }

  private async killAt(network: Network, point: CrashPoint, victim: Victim): Promise<void> {
    const halted = await this.haltedAt(point);
    if (victim === 'child') killChildren(network);
    else await killDaemon(network, victim === 'worker' && isVerifiers(point) ? 'verifier' : victim);
    if (isRunning(halted)) process.kill(halted, 'SIGCONT');
  }
}

const isVerifiers = (point: CrashPoint) => crashPoints.verifier.some((name) => name === point);
const isSenders = (point: CrashPoint) => crashPoints.sender.some((name) => name === point);
const isReaders = (point: CrashPoint) => point.startsWith('events.');

/** Kills all Python children of the system. */
export function killChildren({ master, workers, verifier }: Network): void {
  for (const { pid } of [master, ...workers, verifier])
    for (const child of childrenOf(pid)) process.kill(child, 'SIGKILL');
}

/** Kills a daemon and starts it again. */
export async function killDaemon(network: Network, role: 'master' | 'worker' | 'verifier'): Promise<void> {
  const { node, workers, verifier } = network.parties;
  const [pid, party] = {
    master: [network.master.pid, node] as const,
    worker: [network.workers[0]!.pid, workers[0]!] as const,
    verifier: [network.verifier.pid, verifier] as const,
  }[role];
  process.kill(pid, 'SIGKILL');
  await waitUntilGone(pid);
  network.restart(party);
}
