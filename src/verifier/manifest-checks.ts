/** Checks of a manifest that need no other file; the loss and the model are checked in `judge.ts`. */
import { countTokens } from '../domain/audit';
import { promisedHash } from '../domain/blob-reference';
import { autoCodecs } from '../domain/codec-choice';
import { countBlocks, earnedWei, fuelOf } from '../domain/fuel';
import type { Address, JobId } from '../domain/ids';
import type { Share } from '../domain/shares';
import { canonicalJson, sha256 } from '../lib/hash';
import { JobParams } from '../protocol/job-params';
import { Manifest } from '../protocol/manifest';
import { mayBeSettled } from '../protocol/settle-params';
import { auditable } from '../replay/audited';
import { findAuditProblem } from './audit-checks';
import { findBaseProblem } from './base-checks';

/** A submitted job as the chain has it; every claim of its manifest is measured against this. */
export interface SubmittedJob {
  jobId: JobId;
  chainId: number;
  contract: Address;
  node: Address;
  dataset: string;
  params: string;
  feeWei: bigint;
  fuelLimit: bigint;
  /** `0x` and the sha256 hash of the manifest. */
  resultHash: string;
  /** The storages that its node names for the result, beside those of the data set's reference. */
  locations: readonly string[];
  payoutRoot: string;
  fuelUsed: bigint;
  /** Number of the chain block with `submit`. */
  submitBlock: number;
}

/** A claim that does not hold: a code and a sentence. */
export interface Flaw {
  code: string;
  reason: string;
}

const FLAW = {
  hash: 'verdict/manifest-hash',
  format: 'verdict/manifest-format',
  identity: 'verdict/wrong-job',
  params: 'verdict/wrong-params',
  base: 'verdict/base',
  ledger: 'verdict/ledger',
  chain: 'verdict/theta-chain',
  audits: 'verdict/audits',
  fuel: 'verdict/fuel',
  payouts: 'verdict/payouts',
  files: 'verdict/model-files',
} as const;

/** File names a model may have: data, text, and a picture that a replay draws again; no code. */
const HARMLESS = /^([\w-][\w.-]*\.(json|safetensors|txt|md|jinja|svg|model)|LICENSE|NOTICE)$/;
const MAX_MODEL_FILES = 100;
const MAX_MODEL_BYTES = 64 * 1024 ** 3;

/** Parses the manifest, or returns the flaw that makes it unreadable. */
export function readManifest(bytes: Buffer, job: SubmittedJob): Manifest | Flaw {
  if (`0x${sha256(bytes)}` !== job.resultHash)
    return flaw('hash', 'the bytes of the manifest do not have the submitted hash');
  const raw = parseCanonical(bytes.toString('utf8'));
  if (raw === undefined) return flaw('format', 'the manifest is not canonical JSON');
  const parsed = Manifest.safeParse(raw);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return flaw('format', `the manifest's ${issue?.path.join('.')}: ${issue?.message}`);
  }
  return parsed.data;
}

/** Returns undefined also for JSON that is nested too deeply to be written again. */
function parseCanonical(text: string): unknown {
  try {
    const raw: unknown = JSON.parse(text);
    return canonicalJson(raw) === text ? raw : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Checks everything about a manifest that needs no other file: it is about this job, its leases cover each
 * block exactly once, each round starts where the previous one ended, and fuel and payouts follow from the
 * work. Returns undefined if all holds.
 */
export function findFlaw(
  manifest: Manifest,
  job: SubmittedJob,
  payoutRoot: (shares: readonly Share[]) => string,
): Flaw | undefined {
  return (
    checkIdentity(manifest, job) ??
    checkParams(manifest, job) ??
    checkBase(manifest) ??
    checkLedger(manifest) ??
    checkThetas(manifest) ??
    checkAudits(manifest) ??
    checkFuel(manifest, job) ??
    checkPayouts(manifest, job, payoutRoot) ??
    checkModelFiles(manifest)
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
  const hash = promisedHash(job.dataset);
  if (hash && hash !== manifest.dataset.sha256) return flaw('identity', 'the data set is not the one requested');
  return undefined;
}

/**
 * The model was trained as requested, or as the documented defaults say; only epochs, batch, an automatic
 * codec and the number of workers by which a round's steps are usual may be chosen by the node. The last
 * gives it little: how many really take part is up to it anyway.
 */
function checkParams(manifest: Manifest, job: SubmittedJob): Flaw | undefined {
  const asked = readParams(job.params);
  if (!asked) return flaw('params', 'the parameters of the request are not valid; the job should not have been taken');
  const { epochs, batch, codec } = manifest.params;
  const chosen = { epochs: asked.epochs ?? epochs, batch: asked.batch ?? batch };
  const isChosen = asked.codec === 'auto' && autoCodecs.includes(codec);
  const expected = { ...asked, ...chosen, codec: isChosen ? codec : asked.codec };
  const path = differs(expected, manifest.params, '');
  if (path !== undefined) return flaw('params', `parameter ${path} is not as requested`);
  if (mayBeSettled(asked, manifest.params, manifest.totalBlocks)) return undefined;
  const { round, inner, outer } = manifest.params;
  const settled = canonicalJson({ round, inner: { lr: inner.lr, muonLr: inner.muonLr }, outer });
  return flaw('params', `what the request left open is not usual for a job of its kind and size in ${settled}`);
}

function checkBase(manifest: Manifest): Flaw | undefined {
  const problem = findBaseProblem(manifest);
  return problem === undefined ? undefined : flaw('base', problem);
}

function readParams(text: string): JobParams | undefined {
  try {
    return JobParams.safeParse(JSON.parse(text === '' ? '{}' : text)).data;
  } catch {
    return undefined;
  }
}

function differs(asked: unknown, trained: unknown, path: string): string | undefined {
  if (asked === null || typeof asked !== 'object') return asked === trained ? undefined : path;
  for (const [key, value] of Object.entries(asked)) {
    const found = differs(
      value,
      (trained as Record<string, unknown> | undefined)?.[key],
      path ? `${path}.${key}` : key,
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

function checkLedger(manifest: Manifest): Flaw | undefined {
  const { prepared, params, totalBlocks } = manifest;
  if (totalBlocks !== countBlocks(params.epochs, prepared.epochBlocks)) {
    return flaw('ledger', `${totalBlocks} blocks are not ${params.epochs} epochs of ${prepared.epochBlocks}`);
  }
  const leases = manifest.rounds.flatMap((round) => round.leases).sort((a, b) => a.start - b.start);
  let next = 0;
  for (const lease of leases) {
    // What is left out of a partial result is neither claimed nor paid.
    const isNext = params.partial ? lease.start >= next : lease.start === next;
    if (!isNext || lease.end > totalBlocks)
      return flaw('ledger', `block ${Math.min(lease.start, next)} was not merged exactly once`);
    if (lease.tokens !== (lease.end - lease.start) * prepared.blockTokens) {
      return flaw('ledger', `the lease at ${lease.start} claims ${lease.tokens} tokens`);
    }
    next = lease.end;
  }
  return params.partial || next === totalBlocks ? undefined : flaw('ledger', `blocks from ${next} on were not merged`);
}

function checkThetas({ rounds }: Manifest): Flaw | undefined {
  const broken = rounds.findIndex(
    (round, i) => round.round !== i || (i > 0 && round.theta !== rounds[i - 1]?.nextTheta),
  );
  return broken < 0 ? undefined : flaw('chain', `round ${broken} does not start where the one before ended`);
}

function checkAudits(manifest: Manifest): Flaw | undefined {
  const problem = findAuditProblem(manifest);
  return problem === undefined ? undefined : flaw('audits', problem);
}

function checkFuel(manifest: Manifest, job: SubmittedJob): Flaw | undefined {
  const merged = manifest.rounds
    .flatMap((round) => round.leases)
    .reduce((sum, lease) => sum + BigInt(lease.tokens), 0n);
  const fuel = fuelOf(merged, job.fuelLimit);
  if (BigInt(manifest.fuelUsed) === fuel && job.fuelUsed === fuel) return undefined;
  return flaw(
    'fuel',
    `${job.fuelUsed} tokens were submitted and ${manifest.fuelUsed} recorded, but ${fuel} were merged`,
  );
}

function checkPayouts(
  manifest: Manifest,
  job: SubmittedJob,
  payoutRoot: (shares: readonly Share[]) => string,
): Flaw | undefined {
  const shares: Share[] = manifest.payouts;
  const [own, ...workers] = shares;
  if (!own || shares.some((share, i) => share.index !== i)) return flaw('payouts', 'the payouts are not in order');
  if (own.worker !== job.node || own.tokens !== 0) return flaw('payouts', 'the first payout is not the node’s own');
  const sum = shares.reduce((total, share) => total + share.amountWei, 0n);
  const earned = earnedWei(job.feeWei, job.fuelUsed, job.fuelLimit);
  if (sum !== earned) return flaw('payouts', `the payouts are ${sum} wei, the job earned ${earned}`);
  // From here on every amount fits into a payout tree.
  if (payoutRoot(shares) !== manifest.payoutRoot) return flaw('payouts', 'the payouts do not have the submitted root');
  const paid = paidTokens(manifest);
  const isAsPaid = workers.every((share) => paid.get(share.worker) === share.tokens);
  if (!isAsPaid || workers.length !== paid.size || new Set(workers.map((share) => share.worker)).size !== paid.size) {
    return flaw('payouts', 'the payouts do not follow the merged tokens and the audits');
  }
  return arePaidAlike(workers) ? undefined : flaw('payouts', 'workers are not paid alike for their tokens');
}

/** Unrefuted tokens and those of audits, of every worker that has any. */
function paidTokens({ rounds, audits, node }: Manifest): Map<Address, number> {
  const counts = [...countTokens(auditable(rounds), audits, node)].map(([worker, { paid }]) => [worker, paid] as const);
  return new Map(counts.filter(([, paid]) => paid > 0));
}

/**
 * Returns whether one pool of pay, whatever commission the node took, gives every amount when it is split by
 * tokens and rounded down.
 */
function arePaidAlike(workers: readonly Share[]): boolean {
  const total = workers.reduce((sum, { tokens }) => sum + BigInt(tokens), 0n);
  const least = ({ amountWei, tokens }: Share) => (amountWei * total + BigInt(tokens) - 1n) / BigInt(tokens);
  const pool = workers.reduce((most, share) => (least(share) > most ? least(share) : most), 0n);
  return workers.every(({ amountWei, tokens }) => (pool * BigInt(tokens)) / total === amountWei);
}

/** Of a model that is θ itself, its file is compared here; others are made again from θ by a replay. */
function checkModelFiles({ model, rounds, params }: Manifest): Flaw | undefined {
  if (model.length > MAX_MODEL_FILES)
    return flaw('files', `the model has ${model.length} files, more than ${MAX_MODEL_FILES}`);
  const odd = model.find(({ name }, i) => !HARMLESS.test(name) || model.findIndex((file) => file.name === name) !== i);
  if (odd) return flaw('files', `unexpected or duplicate model file ${odd.name}`);
  if (model.reduce((sum, { bytes }) => sum + bytes, 0) > MAX_MODEL_BYTES)
    return flaw('files', `the model has more than ${MAX_MODEL_BYTES} bytes`);
  if (params.tune !== 'none' || params.model.family !== 'gpt2') return undefined;
  const weights = model.find(({ name }) => name === 'model.safetensors');
  if (weights?.sha256 === rounds.at(-1)?.nextTheta) return undefined;
  return flaw('chain', 'the model is not what the last round ended with');
}

function flaw(kind: keyof typeof FLAW, reason: string): Flaw {
  return { code: FLAW[kind], reason };
}
