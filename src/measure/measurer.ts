/** Measures the workers of a master: who is due, the probe, its check, and what is written down of it. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toleranceOf } from '../domain/audit';
import type { Address } from '../domain/ids';
import { planProbe } from '../domain/probe';
import { errorCode } from '../lib/errors';
import { inTurn } from '../lib/in-turn';
import type { Offer } from '../protocol/link';
import { probeParams } from '../protocol/probe';
import { isDue, restAfter } from './due';
import type { MeasureDeps, MeasureOptions } from './ports';
import { ProbeSession, type ProbeWork } from './probe-session';
import { recheck } from './recheck';

const TICK_MS = 1000;
/** A worker without work for so long is not about to be given some. */
const SETTLED_MS = 10_000;
/** Probes that a worker may leave unfinished before that counts against it. */
const MAX_UNFINISHED = 3;

interface Memory {
  /** Since when it has been seen without an assignment. */
  unassignedSinceMs?: number | undefined;
  restUntilMs: number;
  /** Probes left unfinished in a row. */
  unfinished: number;
}

/**
 * Probes idle workers one by one, while this master has no job. Nothing waits for a probe: a worker that is
 * wanted is taken from it, and a check stops for a job and is done afterwards.
 */
export class Measurer {
  private readonly memory = new Map<Address, Memory>();
  /** Probes that are done on the worker's side, oldest first. */
  private readonly unchecked: ProbeWork[] = [];
  private readonly turn = inTurn();

  constructor(
    private readonly options: MeasureOptions,
    private readonly deps: MeasureDeps,
  ) {}

  /** Measures whoever is due, until the signal. */
  async run(): Promise<void> {
    const { clock, logger, signal } = this.deps;
    await rm(join(this.options.dataDir, 'measure'), { recursive: true, force: true });
    while (!signal.aborted) {
      await this.tick().catch((error) => {
        if (!signal.aborted) logger.error('Measuring failed', {}, error);
      });
      await clock.sleep(TICK_MS, signal).catch(() => undefined);
    }
    for (const work of [...this.unchecked]) await this.forget(work);
  }

  /** Measures a worker now, whether it is due or not. Its result is found in the fleet's measurements. */
  readonly measure = (worker: Address): 'measuring' | 'busy' | 'not exist' => {
    const { fleet, logger, signal } = this.deps;
    const found = fleet.unassigned().find(({ address }) => address === worker);
    if (!found) return fleet.peer(worker) ? 'busy' : 'not exist';
    const work = () => this.probe(worker, found.offer, signal).then(() => this.checkNext(signal));
    void this.turn(work).catch((error) => {
      if (!signal.aborted) logger.error('Measuring failed', { worker }, error);
    });
    return 'measuring';
  };

  private async tick(): Promise<void> {
    const due = this.findDue();
    if (!this.options.probes || this.deps.isBusy()) return;
    await this.turn(() =>
      this.untilBusy(async (signal) => {
        await this.checkNext(signal);
        if (due) await this.probe(due.address, due.offer, signal);
      }),
    );
  }

  /** Returns a worker that has had nothing to do for a while and is due. */
  private findDue(): { address: Address; offer: Offer } | undefined {
    const { fleet, clock } = this.deps;
    const nowMs = clock.now();
    const unassigned = fleet.unassigned();
    const present = new Set(unassigned.map(({ address }) => address));
    for (const [address, known] of this.memory) if (!present.has(address)) known.unassignedSinceMs = undefined;
    for (const { address } of unassigned) this.remember(address).unassignedSinceMs ??= nowMs;
    return unassigned.find(({ address }) => {
      const { unassignedSinceMs = nowMs, restUntilMs } = this.remember(address);
      const measurements = fleet.measurements(address);
      if (!measurements || nowMs < restUntilMs || nowMs - unassignedSinceMs < SETTLED_MS) return false;
      return isDue(measurements, nowMs);
    });
  }

  private remember(worker: Address): Memory {
    const known = this.memory.get(worker) ?? { restUntilMs: 0, unfinished: 0 };
    this.memory.set(worker, known);
    return known;
  }

  /** Does work that ends as soon as this master has a job. */
  private async untilBusy(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { clock, isBusy } = this.deps;
    const stop = new AbortController();
    const over = new AbortController();
    const watch = async () => {
      while (!isBusy()) await clock.sleep(TICK_MS, over.signal);
      stop.abort(new Error('The master has a job.'));
    };
    void watch().catch(() => undefined); // the work is over
    try {
      await work(AbortSignal.any([stop.signal, this.deps.signal]));
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    } finally {
      over.abort();
    }
  }

  private async probe(worker: Address, offer: Offer, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.deps;
    const atMs = clock.now();
    const hasGpu = offer.devices.every(({ kind }) => kind === 'cuda');
    const plan = planProbe({ gflops: offer.powerCapacity, hasGpu }, { hasGpu: this.options.device.startsWith('cuda') });
    const session = new ProbeSession({ worker, probeId: randomUUID(), plan }, this.deps);
    const known = this.remember(worker);
    logger.info('Measuring a worker', { worker, ...plan });
    try {
      const end = await session.run(signal);
      known.unfinished = end.kind === 'unfinished' ? known.unfinished + 1 : 0;
      if (end.kind === 'timed') this.unchecked.push(end.work);
      else if (end.kind === 'bad') await this.recordBad({ worker, shape: plan.shape, ...end });
      else if (known.unfinished < MAX_UNFINISHED) logger.info('Probe left unfinished', { worker, reason: end.reason });
      else await this.recordBad({ worker, shape: plan.shape, reason: end.reason, isFault: false });
    } finally {
      known.restUntilMs = clock.now() + restAfter(clock.now() - atMs);
    }
  }

  /** Checks the oldest probe that is still unchecked. */
  private async checkNext(signal: AbortSignal): Promise<void> {
    const [work] = this.unchecked;
    if (!work) return;
    const { fleet, clock, logger } = this.deps;
    const { worker, plan, done, gflops } = work;
    const { shape } = plan;
    let distance: number;
    try {
      distance = await recheck(work, this.options, this.deps, signal);
    } catch (error) {
      // Interrupted, it is checked later; what this machine cannot do again says nothing about the worker.
      if (errorCode(error) !== 'measure/interrupted') {
        logger.warn('A probe could not be checked', { worker }, error);
        await this.forget(work);
      }
      return;
    }
    await this.forget(work);
    if (distance > toleranceOf(probeParams(shape), [shape === 'L' ? 'cuda' : 'cpu'])) {
      const reason = `its update is not that of the work: relative distance ${distance.toPrecision(2)}`;
      return this.recordBad({ worker, shape, reason, isFault: true });
    }
    const detail = `${plan.long} steps, relative distance ${distance.toPrecision(2)}, ${done.seconds.toFixed(1)} s by its own clock`;
    await fleet.recordMeasurement({ worker, atMs: clock.now(), source: 'probe', shape, gflops, isOk: true, detail });
    logger.info('Worker measured', { worker, shape, gflops: Math.round(gflops * 10) / 10 });
  }

  private async forget(work: ProbeWork): Promise<void> {
    this.unchecked.shift();
    await this.deps.blobs.remove(work.done.update.sha256);
  }

  private async recordBad(about: { worker: Address; shape: string; reason: string; isFault: boolean }): Promise<void> {
    const { fleet, workers, clock, logger } = this.deps;
    const { worker, shape, reason, isFault } = about;
    const atMs = clock.now();
    await fleet.recordMeasurement({ worker, atMs, source: 'probe', shape, gflops: 0, isOk: false, detail: reason });
    const strikes = isFault ? await workers.addStrike(worker, reason) : undefined;
    logger.warn('Bad probe: the worker gets no work until a good one', { worker, reason, strikes });
  }
}
