/** Repeats all folds of a job from the stored updates: the chain of θ must come out bit for bit. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '../domain/ids';
import { describeError, errorCode } from '../lib/errors';
import type { Manifest } from '../protocol/manifest';
import type { FileRef, TrainerEvent } from '../protocol/trainer';
import type { ReplayChild } from './children';
import { failReplay } from './difference';

export type ManifestRound = Manifest['rounds'][number];
export type ManifestLease = ManifestRound['leases'][number];

/** Where a replay gets the blobs of a result, and where it has them meanwhile. */
export interface ReplayBlobs {
  /**
   * Fetches a blob. Throws `blobs/not-stored` if the storage does not have it, `blobs/too-large` if it
   * exceeds the limit.
   */
  fetch(sha256: Sha256, maxBytes: number): Promise<{ bytes: number }>;
  path(sha256: Sha256): string;
  remove(sha256: Sha256): Promise<void>;
}

/** A repeated round, while its files are there. */
export interface ReplayedRound {
  round: ManifestRound;
  /** θ_r, from which its leases were trained. */
  theta: FileRef;
}

interface FoldsOptions {
  rounds: readonly ManifestRound[];
  theta0: FileRef;
  dir: string;
  maxUpdateBytes: number;
  coordinator: Pick<ReplayChild, 'run'>;
  blobs: ReplayBlobs;
  /** Called after each round, before its files go. */
  onRound(replayed: ReplayedRound): Promise<void>;
  /** Whether the files of a round stay: θ_r and its updates. */
  isKept(round: ManifestRound): boolean;
}

/** The largest difference of a recorded weight from the one computed here, which sums in another order. */
const WEIGHT_TOLERANCE = 1e-6;
const TOO_LARGE = 'blobs/too-large';

/** Returns the last θ. Throws `DifferenceFound` at the first round that gives another. */
export async function replayFolds(options: FoldsOptions): Promise<FileRef> {
  let theta = options.theta0;
  let outer: string | undefined;
  for (const round of options.rounds) {
    for (const lease of round.leases) await fetchUpdate(round, lease, options);
    const folded = await fold(round, theta, outer, options);
    checkFold(round, folded);
    await options.onRound({ round, theta });
    await rm(folded.delta.path, { force: true });
    if (outer) await rm(outer, { force: true });
    if (!options.isKept(round)) await removeRound({ round, theta }, options.blobs);
    theta = folded.theta;
    outer = round.resetsOuter ? undefined : folded.outer.path;
    if (!outer) await rm(folded.outer.path, { force: true });
  }
  if (outer) await rm(outer, { force: true });
  return theta;
}

/** Removes a round's θ_r and updates. */
export async function removeRound({ round, theta }: ReplayedRound, blobs: ReplayBlobs): Promise<void> {
  await rm(theta.path, { force: true });
  for (const { update } of round.leases) await blobs.remove(update);
}

/** Fetches an update and checks it first: a child that folds what is not finite could not answer. */
async function fetchUpdate({ round }: ManifestRound, lease: ManifestLease, options: FoldsOptions): Promise<void> {
  const { blobs, maxUpdateBytes, coordinator } = options;
  const reason = `the update of round ${round} at ${lease.start} cannot be folded`;
  const found = { ...placeOf(round, lease), reason, expected: 'a finite update of this model', got: lease.update };
  await blobs.fetch(lease.update, maxUpdateBytes).catch((error: unknown) => {
    if (errorCode(error) !== TOO_LARGE) throw error;
    failReplay('update', { ...found, measured: describeError(error) });
  });
  const { ok, reason: measured } = await coordinator.run(
    { type: 'inspect', update: blobs.path(lease.update) },
    'inspected',
  );
  if (!ok) failReplay('update', { ...found, measured });
}

type Folded = Extract<TrainerEvent, { type: 'folded' }>;

async function fold(
  round: ManifestRound,
  theta: FileRef,
  outer: string | undefined,
  { coordinator, blobs, dir }: FoldsOptions,
): Promise<Folded> {
  const out = (name: string) => join(dir, `${name}-${round.round + 1}.safetensors`);
  const command = {
    type: 'fold' as const,
    theta: theta.path,
    ...(outer ? { outer } : {}),
    updates: round.leases.map(({ update, tokens }) => ({ path: blobs.path(update), weight: tokens })),
    weights: round.leases.map(({ weight }) => weight),
    scale: round.scale,
    thetaOut: out('theta'),
    outerOut: out('outer'),
    deltaOut: out('delta'),
  };
  return coordinator.run(command, 'folded');
}

function checkFold(round: ManifestRound, folded: Folded): void {
  for (const [i, lease] of round.leases.entries()) {
    const computed = folded.weights[i] ?? Number.NaN;
    if (Math.abs(computed - lease.weight) <= WEIGHT_TOLERANCE) continue;
    const reason = `the lease at ${lease.start} does not have weight ${lease.weight} in round ${round.round}`;
    const values = { expected: 'the weight that the fold computes', got: String(lease.weight) };
    failReplay('foldWeight', { ...placeOf(round.round, lease), reason, ...values, measured: String(computed) });
  }
  const pairs = [
    ['θ', folded.theta.sha256, round.nextTheta],
    ['delta', folded.delta.sha256, round.delta],
  ] as const;
  for (const [name, expected, got] of pairs) {
    if (expected === got) continue;
    const reason = `round ${round.round} folds to ${name} ${expected}, not to ${got}`;
    failReplay('fold', { round: round.round, reason, expected, got });
  }
}

/** Where a difference lies, for its report. */
export function placeOf(round: number, { worker, start, end }: ManifestLease) {
  return { round, lease: { worker, start, end } };
}
