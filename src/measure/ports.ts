/** What measuring uses of its surroundings. */
import type { z } from 'zod';
import type { BlobStore } from '../blobs/blob-store';
import type { Address } from '../domain/ids';
import type { Fleet } from '../fleet/fleet';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { Peer } from '../link/gate';
import type { TrainCommand, TrainerEvent, TrainerSpec } from '../protocol/trainer';
import type { Workers } from '../store/workers';

type WithoutId<C> = C extends { id: number } ? Omit<C, 'id'> : never;

/** A Python child of this master, for re-executions. */
export interface MeasureChild extends AsyncDisposable {
  run<T extends TrainerEvent['type']>(
    command: WithoutId<z.input<typeof TrainCommand>>,
    answer: T,
  ): Promise<Extract<TrainerEvent, { type: T }>>;
  kill(): void;
}

export interface MeasureFleet
  extends Pick<Fleet, 'unassigned' | 'assign' | 'release' | 'send' | 'measurements' | 'recordMeasurement'> {
  peer(worker: Address): Pick<Peer, 'pull'> | undefined;
}

export interface MeasureDeps {
  fleet: MeasureFleet;
  workers: Pick<Workers, 'addStrike'>;
  blobs: Pick<BlobStore, 'path' | 'remove'>;
  openChild(spec: TrainerSpec): Promise<MeasureChild>;
  /** True while the master works on a job: then its cores are the job's. */
  isBusy(): boolean;
  clock: Clock;
  logger: Logger;
  /** Aborts when the master stops. */
  signal: AbortSignal;
}

export interface MeasureOptions {
  dataDir: string;
  device: string;
  threads: number;
  /** Measure without being asked. */
  probes: boolean;
}
