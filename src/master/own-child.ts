/** The master's own training child, which does leases again where no worker can. */
import type { DeviceKind } from '../protocol/device-kind';
import type { FileRef, TrainCommand, TrainerSpec } from '../protocol/trainer';
import type { CoordinatorChild } from './coordinator';

type TrainSpec = Extract<TrainerSpec, { kind: 'train' }>;
/** A lease as the child is asked to train it. */
export type RedoCommand = Omit<Extract<TrainCommand, { type: 'round.run' }>, 'type' | 'id'>;

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

  /** Trains a lease and returns its update. One at a time. */
  async redo(command: RedoCommand): Promise<FileRef> {
    const opening = this.deps.openChild(this.spec);
    this.child = opening;
    await using child = await opening;
    const { update } = await child.run({ type: 'round.run', ...command }, 'round.done');
    return update;
  }

  /** Stops what is under way; its `redo` then throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    await this.child?.then(
      (opened) => opened[Symbol.asyncDispose](),
      () => undefined,
    );
  }
}
