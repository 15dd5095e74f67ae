import type { Address, JobId } from '../domain/ids';
import { earnedWei, type Share } from '../domain/shares';
import { canonicalJson, sha256 } from '../lib/hash';
import { Manifest } from '../protocol/manifest';

/** What the chain says of a submitted job: the yardstick for everything its manifest claims. */
export interface SubmittedJob {
  jobId: JobId;
  chainId: number;
  contract: Address;
  node: Address;
  dataset: string;
  params: string;
  feeWei: bigint;
  fuelLimit: bigint;
  /** `0x` and the sha256 of the manifest. */
  resultHash: string;
  payoutRoot: string;
  fuelUsed: bigint;
}

/** A claim that does not hold, as a code and a sentence. */
export interface Flaw {
  code: string;
  reason: string;
}

const FLAW = {
  hash: 'verdict/manifest-hash',
  format: 'verdict/manifest-format',
  identity: 'verdict/wrong-job',
  params: 'verdict/wrong-params',
  ledger: 'verdict/ledger',
  chain: 'verdict/theta-chain',
  fuel: 'verdict/fuel',
  payouts: 'verdict/payouts',
} as const;

/** Reads the manifest out of the bytes that were stored under its hash, or says why it is none. */
export function readManifest(bytes: Buffer, job: SubmittedJob): Manifest | Flaw {
  if (`0x${sha256(bytes)}` !== job.resultHash) return flaw('hash', 'its bytes do not have the hash that was submitted');
  let raw: unknown;
  try {
    raw = JSON.parse(bytes.toString('utf8'));
  } catch {
    return flaw('format', 'the manifest is not JSON');
  }
  const parsed = Manifest.safeParse(raw);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return flaw('format', `the manifest's ${issue?.path.join('.')}: ${issue?.message}`);
  }
  if (canonicalJson(raw) !== bytes.toString('utf8')) return flaw('format', 'the manifest is not canonical JSON');
  return parsed.data;
}

/**
 * Everything about a manifest that needs no other file: that it is about this job, that its leases cover each block exactly once,
 * that each round starts where the one before ended, and that fuel and payouts follow from the work. Undefined when all holds.
 */
export function findFlaw(manifest: Manifest, job: SubmittedJob, payoutRoot: (shares: readonly Share[]) => string): Flaw | undefined {
  return (
    checkIdentity(manifest, job) ??
    checkParams(manifest, job) ??
    checkLedger(manifest) ??
    checkThetas(manifest) ??
    checkFuel(manifest, job) ??
    checkPayouts(manifest, job, payoutRoot)
  );
}

function checkIdentity(manifest: Manifest, job: SubmittedJob): Flaw | undefined {
  const pairs: [string, unknown, unknown][] = [
    ['chain', manifest.chainId, job.chainId],
    ['contract', manifest.contract, job.contract],
    ['job', manifest.jobId, job.jobId],
    ['node', manifest.node, job.node],
    ['data set', manifest.dataset.reference, job.dataset],
    ['payout root', manifest.payoutRoot, job.payoutRoot],
  ];
  const wrong = pairs.find(([, claimed, real]) => claimed !== real);
  if (wrong) return flaw('identity', `the manifest is for ${wrong[0]} ${String(wrong[1])}, not ${String(wrong[2])}`);
  const promised = /^sha256:([0-9a-f]{64})$|#sha256=([0-9a-f]{64})$/.exec(job.dataset);
  const hash = promised?.[1] ?? promised?.[2];
  if (hash && hash !== manifest.dataset.sha256) return flaw('identity', 'the data set is not the one requested');
  return undefined;
}

/** What the requester asked for must be what was trained; what it left open the node may choose. */
function checkParams(manifest: Manifest, job: SubmittedJob): Flaw | undefined {
  const asked = job.params === '' ? {} : (JSON.parse(job.params) as unknown);
  const path = differs(asked, manifest.params, '');
  return path === undefined ? undefined : flaw('params', `parameter ${path} is not as requested`);
}

function differs(asked: unknown, trained: unknown, path: string): string | undefined {
  if (asked === null || typeof asked !== 'object' || Array.isArray(asked)) {
    return canonicalJson(asked) === canonicalJson(trained ?? null) ? undefined : path;
  }
  for (const [key, value] of Object.entries(asked)) {
    const found = differs(value, (trained as Record<string, unknown> | undefined)?.[key], path ? `${path}.${key}` : key);
    if (found !== undefined) return found;
  }
  return undefined;
}

function checkLedger(manifest: Manifest): Flaw | undefined {
  const { prepared, params, totalBlocks } = manifest;
  if (totalBlocks !== Math.max(1, Math.round(params.epochs * prepared.epochBlocks))) {
    return flaw('ledger', `${totalBlocks} blocks are not ${params.epochs} epochs of ${prepared.epochBlocks}`);
  }
  const leases = manifest.rounds.flatMap((round) => round.leases).sort((a, b) => a.start - b.start);
  let next = 0;
  for (const lease of leases) {
    if (lease.start !== next) return flaw('ledger', `block ${Math.min(lease.start, next)} was not merged exactly once`);
    if (lease.tokens !== (lease.end - lease.start) * prepared.blockTokens) {
      return flaw('ledger', `the lease at ${lease.start} claims ${lease.tokens} tokens`);
    }
    next = lease.end;
  }
  return next === totalBlocks ? undefined : flaw('ledger', `blocks from ${next} on were not merged`);
}

function checkThetas({ rounds }: Manifest): Flaw | undefined {
  const broken = rounds.findIndex((round, i) => round.round !== i || (i > 0 && round.theta !== rounds[i - 1]?.nextTheta));
  return broken < 0 ? undefined : flaw('chain', `round ${broken} does not start where the one before ended`);
}

function checkFuel(manifest: Manifest, job: SubmittedJob): Flaw | undefined {
  const merged = manifest.rounds.flatMap((round) => round.leases).reduce((sum, lease) => sum + BigInt(lease.tokens), 0n);
  const fuel = merged < job.fuelLimit ? merged : job.fuelLimit;
  if (BigInt(manifest.fuelUsed) === fuel && job.fuelUsed === fuel) return undefined;
  return flaw('fuel', `${job.fuelUsed} tokens were submitted and ${manifest.fuelUsed} recorded, but ${fuel} were merged`);
}

function checkPayouts(manifest: Manifest, job: SubmittedJob, payoutRoot: (shares: readonly Share[]) => string): Flaw | undefined {
  const shares = manifest.payouts.map(({ amountWei, ...rest }) => ({ ...rest, amountWei }));
  if (shares.some((share, i) => share.index !== i)) return flaw('payouts', 'the payouts are not in order');
  if (payoutRoot(shares) !== manifest.payoutRoot) return flaw('payouts', 'the payouts do not have the root that was submitted');
  const sum = shares.reduce((total, share) => total + share.amountWei, 0n);
  const earned = earnedWei(job.feeWei, job.fuelUsed, job.fuelLimit);
  if (sum !== earned) return flaw('payouts', `the payouts are ${sum} wei, the job earned ${earned}`);
  const tokens = new Map<Address, number>();
  for (const lease of manifest.rounds.flatMap((round) => round.leases)) {
    tokens.set(lease.worker, (tokens.get(lease.worker) ?? 0) + lease.tokens);
  }
  const wrong = shares.slice(1).find((share) => tokens.get(share.worker) !== share.tokens);
  if (wrong || shares.length - 1 !== tokens.size) return flaw('payouts', 'the payouts do not follow the merged tokens');
  return undefined;
}

function flaw(kind: keyof typeof FLAW, reason: string): Flaw {
  return { code: FLAW[kind], reason };
}
