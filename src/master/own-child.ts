/** The master's own training child, which does leases again where no worker can. */
import type { DeviceKind } from '../protocol/device-kind';
import type { TrainerSpec } from '../protocol/trainer';
import type { CoordinatorChild } from './coordinator';

type TrainSpec = Extract<TrainerSpec, { kind: 'train' }>;

/** A child is started for each lease, so that nothing is held in memory between two audits. */
export class OwnChild implements AsyncDisposable {
  private child: Promise<CoordinatorChild> | undefined;
  isClosed = false;

  constructor(
    private readonly spec: TrainSpec,
    private readonly deps: { openChild(spec: TrainerSpec): Promise<CoordinatorChild> },
  ) {}

  get deviceKind(): DeviceKind {
    return this.spec.device.startsWith('cuda') ? 'cuda' : 'cpu';
  }

  /** Has a child do some work, and stops it. One at a time. */
  async use<T>(work: (child: CoordinatorChild) => Promise<T>): Promise<T> {
    const opening = this.deps.openChild(this.spec);
    this.child = opening;
    await using child = await opening;
    return await work(child);
  }

  /** Stops what is under way; its `use` then throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    await this.child?.then(
      (opened) => opened[Symbol.asyncDispose](),
      () => undefined,
    );
  }
}
