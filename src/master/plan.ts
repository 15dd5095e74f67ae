import { z } from 'zod';
import { Sha256 } from '../domain/ids';
import { ResolvedParams } from '../protocol/job-params';
import { Prepared } from '../protocol/trainer';

/**
 * What a master has settled about a job, kept with its row: enough to go on after a restart. Written when preparation
 * is done; the validation losses are added when they are known.
 */
export const JobPlan = z.strictObject({
  dataset: z.strictObject({ reference: z.string(), sha256: Sha256, bytes: z.int().min(1) }),
  params: ResolvedParams,
  prepared: Prepared,
  /** Blocks of the whole job: epochs × the blocks of one epoch. */
  totalBlocks: z.int().min(1),
  parameters: z.int().min(1),
  theta0: Sha256,
  /** Nats per token on the whole held-out part, before the first round. */
  startLoss: z.number(),
});
export type JobPlan = z.infer<typeof JobPlan>;

/** Blocks of a job: epochs may be fractional, but there is always at least one block. */
export function countBlocks(epochs: number, epochBlocks: number): number {
  return Math.max(1, Math.round(epochs * epochBlocks));
}
