/** The manifest, the public record of a finished job. */
import { z } from 'zod';
import { Address, Bytes32, JobId, Sha256, Wei } from '../domain/ids';
import { BaseRecord } from './base';
import { DeviceKind } from './device-kind';
import { ResolvedParams } from './job-params';
import { Prepared } from './trainer';
import { TrainedUpdate } from './update';

const Lease = z.strictObject({
  worker: Address,
  start: z.int().min(0),
  end: z.int().min(1),
  shard: Sha256,
  ...TrainedUpdate.pick({ endTheta: true, tokens: true, loss: true }).shape,
  update: Sha256,
  ordinal: z.int().min(1).describe("which merged lease of its worker's life with this node it is"),
  deviceKind: DeviceKind.optional().describe(
    'what its worker said it trained on; decides how equal a repetition must be',
  ),
  isRefuted: z.boolean().describe('an audit found other work: merged, and not paid'),
  weight: z.number().min(0).describe('its weight in the mean of the fold, clipping included'),
});

/**
 * The record of a finished job: a blob of canonical JSON whose sha256 is the `resultHash` on chain. It binds
 * the model to the data, the parameters, every round and every payout, so that anybody can check each of
 * them.
 */
export const Manifest = z.strictObject({
  format: z.literal('emeth-manifest-2'),
  chainId: z.int().min(1),
  contract: Address,
  jobId: JobId,
  node: Address,
  dataset: z.strictObject({ reference: z.string(), sha256: Sha256, bytes: z.int().min(1) }),
  params: ResolvedParams,
  base: BaseRecord.optional(),
  prepared: Prepared,
  totalBlocks: z.int().min(1),
  rounds: z.array(
    z.strictObject({
      round: z.int().min(0),
      theta: Sha256.describe('θ_r at its start'),
      nextTheta: Sha256.describe('θ_{r+1} after the fold'),
      delta: Sha256,
      scale: z.number().min(0).max(1),
      resetsOuter: z.boolean().optional().describe('the next fold starts without the outer state of this one'),
      leases: z.array(Lease).min(1).describe('merged leases, in fold order'),
      validationLoss: z.number().optional(),
    }),
  ),
  evidence: z
    .strictObject({ thetaEvery: z.int().min(2).describe('θ_r is kept where this divides r') })
    .optional()
    .describe('what is kept besides the updates; without it θ of every round'),
  auditSeed: z
    .strictObject({ hash: Sha256, seed: z.string().regex(/^[0-9a-f]{64}$/) })
    .describe('decided which leases were done a second time; workers knew the hash from the start'),
  audits: z
    .array(
      z.strictObject({
        round: z.int().min(0),
        start: z.int().min(0),
        auditor: Address,
        update: Sha256,
        tokens: z.int().min(1),
        distance: z.number().min(0),
        outcome: z.enum(['equal', 'different']),
      }),
    )
    .describe('leases that were done again'),
  missedAudits: z
    .array(z.strictObject({ round: z.int().min(0), start: z.int().min(0) }))
    .describe('leases that were drawn, and that nobody could do again in time'),
  validationLoss: z
    .strictObject({ start: z.number(), end: z.number() })
    .describe('nats per token, whole held-out part'),
  fuelUsed: z.int().min(1).describe('tokens merged'),
  model: z.array(z.strictObject({ name: z.string().regex(/^[\w.-]+$/), sha256: Sha256, bytes: z.int().min(0) })).min(1),
  payoutRoot: Bytes32,
  payouts: z.array(z.strictObject({ index: z.int().min(0), worker: Address, amountWei: Wei, tokens: z.int().min(0) })),
});
/** A larger result is no manifest: verifiers reject it, and nobody fetches it. */
export const MAX_MANIFEST_BYTES = 64 * 2 ** 20;
export type Manifest = z.infer<typeof Manifest>;
export type ManifestIn = z.input<typeof Manifest>;
