/** Re-executes one lease, and measures how far its update lies from the one that was sent. */
import type { Sha256 } from '../domain/ids';
import type { FileRef } from '../protocol/trainer';
import type { Progress } from '../runner/trainer';
import type { ReplayChild } from './children';

/** A lease with all that its training depends on, and the update to compare with. */
export interface LeaseToRedo {
  round: number;
  start: number;
  theta: { path: string; sha256: Sha256 };
  /** Path of the lease's blocks. */
  shard: string;
  update: { path: string; sha256: Sha256 };
}

export interface RedoneLease {
  /** ‖update − redone‖ ÷ ‖redone‖ of the decoded updates; 0 when they are equal bit for bit. */
  distance: number;
  update: FileRef;
  endTheta: Sha256;
  loss: number;
  seconds: number;
}

interface RedoOptions {
  /** Path for the re-executed update. */
  out: string;
  /** A `train` child of the job. */
  trainer: Pick<ReplayChild, 'run'>;
  /** A `coordinate` child of the job. */
  coordinator: Pick<ReplayChild, 'run'>;
  onProgress?: ((progress: Progress) => void) | undefined;
}

export async function redoLease(lease: LeaseToRedo, options: RedoOptions): Promise<RedoneLease> {
  const { round, start, theta, shard } = lease;
  const { out, trainer, coordinator, onProgress } = options;
  const command = { type: 'round.run' as const, round, start, shard, theta, out };
  const { update, endTheta, loss, seconds } = await trainer.run(command, 'round.done', onProgress);
  const redone = { update, endTheta, loss, seconds };
  if (update.sha256 === lease.update.sha256) return { ...redone, distance: 0 };
  const question = { type: 'compare' as const, update: lease.update.path, expected: update.path };
  return { ...redone, distance: (await coordinator.run(question, 'compared')).distance };
}
