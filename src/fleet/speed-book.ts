/** What each worker's speed was measured to be, kept over connections and restarts. */
import type { Address } from '../domain/ids';
import { LAST_MEASUREMENTS, lastProbe, type Measurement, measuredGflops } from '../domain/power';
import type { Logger } from '../lib/logger';
import type { Measurements } from '../store/measurements';

export type MeasurementStore = Pick<Measurements, 'add' | 'recent'>;

/** The measurements that count, in memory; the store has them for the next process. */
export class SpeedBook {
  private readonly byWorker = new Map<Address, Promise<void> | Measurement[]>();

  constructor(private readonly deps: { logger: Logger; measurements?: MeasurementStore | undefined }) {}

  /** Reads a worker's measurements, once; until then it counts as unmeasured. */
  load(worker: Address): void {
    const { measurements, logger } = this.deps;
    if (!measurements || this.byWorker.has(worker)) return;
    const loading = measurements.recent(worker).then(
      (rows) => void this.byWorker.set(worker, rows),
      (error) => {
        this.byWorker.delete(worker);
        logger.warn('Measurements of a worker could not be read', { worker }, error);
      },
    );
    this.byWorker.set(worker, loading);
  }

  /** Lists the measurements that count, oldest first; undefined while they are being read. */
  of(worker: Address): readonly Measurement[] | undefined {
    const known = this.byWorker.get(worker) ?? [];
    return Array.isArray(known) ? known : undefined;
  }

  /** Returns the measured speed in GFLOP/s: 0 after a bad probe, undefined before the first measurement. */
  gflops(worker: Address): number | undefined {
    return measuredGflops(this.of(worker) ?? []);
  }

  async add(measurement: Measurement): Promise<void> {
    const { worker } = measurement;
    await this.byWorker.get(worker);
    const all = [...(this.of(worker) ?? []), measurement];
    const probe = lastProbe(all);
    const counting = new Set(all.filter(({ isOk }) => isOk).slice(-LAST_MEASUREMENTS));
    this.byWorker.set(
      worker,
      all.filter((one) => one === probe || counting.has(one)),
    );
    await this.deps.measurements?.add(measurement);
  }
}
