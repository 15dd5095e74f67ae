/** The manifest of an honest node and the job it was submitted for; tests of the verifier change it. */
import { buildPayouts } from '../../src/chain/acts/payouts';
import { hashSeed, isDrawn } from '../../src/domain/audit';
import { earnedWei } from '../../src/domain/fuel';
import { Address, JobId } from '../../src/domain/ids';
import { shareOut } from '../../src/domain/shares';
import { canonicalJson, sha256 } from '../../src/lib/hash';
import type { ManifestIn } from '../../src/protocol/manifest';
import type { SubmittedJob } from '../../src/verifier/manifest-checks';
import { tinyParams } from './tiny-job';

export const testDataset = Buffer.from('Call me Ishmael. '.repeat(200));
/** Files of a model, by name. */
export const testModel: Record<string, Buffer> = {
  'config.json': Buffer.from('{"model_type":"gpt2"}'),
  'model.safetensors': Buffer.from('weights'),
};
const [node, ann, bob] = ['0a', '0b', '0c'].map((byte) => Address.parse(`0x${byte.repeat(20)}`)) as [
  Address,
  Address,
  Address,
];
const BLOCK_TOKENS = 64;
const FEE_WEI = 10n ** 19n;
const FUEL_LIMIT = 1000n;
const JOB_ID = JobId.parse(`0x${'0e'.repeat(16)}`);
const AUDIT_SEED = '5e'.repeat(32);

const theta = (round: number) => (round === 2 ? sha256(testModel['model.safetensors']!) : sha256(`theta ${round}`));
const lease = (worker: Address, start: number, end: number) => ({
  worker,
  start,
  end,
  shard: sha256(`shard ${start}`),
  update: sha256(`update ${start}`),
  endTheta: sha256(`end ${start}`),
  tokens: (end - start) * BLOCK_TOKENS,
  loss: 3,
  weight: 0.5,
  // Each block of the ten has one; those of one worker rise.
  ordinal: start + 1,
  isRefuted: false,
});
const round = (number: number, leases: ReturnType<typeof lease>[]) => ({
  round: number,
  theta: theta(number),
  nextTheta: theta(number + 1),
  delta: sha256(`delta ${number}`),
  scale: 1,
  leases,
});

/**
 * Returns the manifest of an honest node: ten blocks in two rounds by two workers. Which audits are drawn
 * depends on the job.
 */
export function honestManifest(jobId = JOB_ID): ManifestIn {
  const tokens = new Map([
    [ann, 7 * BLOCK_TOKENS],
    [bob, 3 * BLOCK_TOKENS],
  ]);
  const payoutWei = earnedWei(FEE_WEI, 640n, FUEL_LIMIT);
  const shares = shareOut({ payoutWei, node, commissionBps: 1000, tokens });
  const rounds = [round(0, [lease(ann, 0, 4), lease(bob, 4, 6)]), round(1, [lease(bob, 9, 10), lease(ann, 6, 9)])];
  // Nobody had the time for an audit.
  const missed = rounds
    .flatMap(({ round: number, leases }) => leases.map(({ start, ordinal }) => ({ round: number, start, ordinal })))
    .filter((about) => isDrawn(AUDIT_SEED, { jobId, ...about }, tinyParams.audit.rate))
    .map(({ round: number, start }) => ({ round: number, start }));
  return {
    format: 'emeth-manifest-2',
    chainId: 31337,
    contract: Address.parse(`0x${'0d'.repeat(20)}`),
    jobId,
    node,
    dataset: { reference: `sha256:${sha256(testDataset)}`, sha256: sha256(testDataset), bytes: testDataset.length },
    params: tinyParams,
    prepared: {
      vocabSize: 256,
      epochBlocks: 10,
      blockTokens: BLOCK_TOKENS,
      trainTokens: 640,
      validationTokens: 64,
      validationSequences: 4,
      dataRoot: sha256('root'),
    },
    totalBlocks: 10,
    rounds,
    validationLoss: { start: 5.5, end: 2.5 },
    auditSeed: { hash: hashSeed(AUDIT_SEED), seed: AUDIT_SEED },
    audits: [],
    missedAudits: missed,
    fuelUsed: 640,
    model: Object.entries(testModel).map(([name, bytes]) => ({ name, sha256: sha256(bytes), bytes: bytes.length })),
    payoutRoot: buildPayouts(shares).root,
    payouts: shares.map(({ amountWei, ...share }) => ({ ...share, amountWei: amountWei.toString() })),
  };
}

/**
 * Returns the job on chain after `manifest` was submitted; the request is the honest one whatever the
 * manifest claims.
 */
export function submittedJob(manifest: unknown = honestManifest()): SubmittedJob {
  const honest = honestManifest();
  const claimed = manifest as ManifestIn;
  return {
    jobId: JobId.parse(honest.jobId),
    chainId: honest.chainId,
    contract: Address.parse(honest.contract),
    node,
    dataset: honest.dataset.reference,
    params: JSON.stringify({ model: { layers: 1, heads: 2, width: 16, context: 16 }, batch: 4, round: { steps: 4 } }),
    feeWei: FEE_WEI,
    fuelLimit: FUEL_LIMIT,
    resultHash: `0x${sha256(canonicalJson(manifest))}`,
    locations: [],
    payoutRoot: claimed.payoutRoot,
    fuelUsed: 640n,
    submitBlock: 7,
  };
}
