/** The plan of a job, as it is kept with its row. */
import { z } from 'zod';
import { Sha256 } from '../domain/ids';
import { type ModelSize, modelSizeOf } from '../domain/model-size';
import { BaseRecord } from '../protocol/base';
import { ResolvedParams } from '../protocol/job-params';
import { Prepared } from '../protocol/trainer';

/**
 * What preparation has settled about a job, kept with its row and never changed: enough to go on after a
 * restart.
 */
export const JobPlan = z.strictObject({
  dataset: z.strictObject({ reference: z.string(), sha256: Sha256, bytes: z.int().min(1) }),
  params: ResolvedParams,
  /** Why the codec is what it is, where the request left it to the node. */
  codecWhy: z.string().optional(),
  /** Of a job that starts from one. */
  base: BaseRecord.optional(),
  prepared: Prepared,
  /** Blocks of the whole job: epochs × the blocks of one epoch. */
  totalBlocks: z.int().min(1),
  parameters: z.int().min(1),
  theta0: Sha256,
  /** Nats per token on the whole held-out part, before the first round. */
  startLoss: z.number(),
  /**
   * Decides which leases are done a second time; secret until the manifest names it. A plan from before there
   * were audits has none, and its draws can be known.
   */
  auditSeed: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .default('0'.repeat(64)),
});
export type JobPlan = z.infer<typeof JobPlan>;

/** What of a plan says which model is trained. */
export type PlannedModel = Pick<JobPlan, 'params' | 'base'>;

/** Returns the size of the model that a job trains. */
export function sizeOfPlan({ params, prepared, base }: Pick<JobPlan, 'params' | 'prepared' | 'base'>): ModelSize {
  return modelSizeOf(params, prepared.vocabSize, base?.size);
}
