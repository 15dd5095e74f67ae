/** The facts of a trained update, one type from the Python child over the link into ledger and manifest. */
import { z } from 'zod';
import { Sha256 } from '../domain/ids';
import { BlobRef } from './blob-ref';

/** What a worker's training of one lease came to. */
export const TrainedUpdate = z.strictObject({
  /** The encoded pseudo-gradient Δ = θ_r − θ_w. */
  update: BlobRef,
  tokens: z.int().min(1),
  /** Mean nats per token over the round, and at up to 16 evenly spaced points of it. */
  loss: z.number(),
  lossCurve: z.array(z.number()).max(16),
  seconds: z.number().min(0),
  /** sha256 of θ_r − Δ as a θ file, with Δ as decoded: the weights the update leads to from its start. */
  endTheta: Sha256,
});
export type TrainedUpdate = z.infer<typeof TrainedUpdate>;
