/** The evidence of a rejection: a public file that says which claim of a result is false. */
import { z } from 'zod';
import { Address, JobId } from '../domain/ids';

/**
 * Canonical JSON, the same from every verifier that finds the same: a quorum must give one reason. The first
 * 16 bytes of its sha256 are the reason on chain, so that nobody can exchange it afterwards.
 */
export const Evidence = z.strictObject({
  format: z.literal('emeth-evidence-1'),
  chainId: z.int().min(1),
  contract: Address,
  jobId: JobId,
  manifest: z.string().regex(/^[0-9a-f]{64}$/),
  code: z.string().regex(/^[a-z]+\/[a-z-]+$/),
  reason: z.string(),
  round: z.int().min(0).optional(),
  lease: z.strictObject({ worker: Address, start: z.int().min(0), end: z.int().min(1) }).optional(),
  expected: z.string().optional().describe('what a replay gives'),
  got: z.string().optional().describe('what the result has instead'),
  repeat: z.string().describe('the command that repeats it'),
});
export type Evidence = z.infer<typeof Evidence>;
