/** Repeats a finished job from its manifest and the stored blobs alone, and says where it first differs. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { leaseKey, toleranceOf } from '../domain/audit';
import { nameBase } from '../domain/base-reference';
import { isDataFault } from '../domain/data-fault';
import type { Sha256 } from '../domain/ids';
import { lossCurve } from '../domain/loss-curve';
import { AppError, errorCode } from '../lib/errors';
import { canonicalJson } from '../lib/hash';
import type { Manifest } from '../protocol/manifest';
import type { FileRef, TrainerSpec } from '../protocol/trainer';
import { failedLeases } from './audited';
import { type ReplayChild, ReplayChildren, type ReplayMachine } from './children';
import { type Difference, DifferenceFound, describeDifference, failReplay } from './difference';
import {
  type ManifestLease,
  type ManifestRound,
  placeOf,
  type ReplayBlobs,
  type ReplayedRound,
  removeRound,
  replayFolds,
} from './folds';
import { checkLosses, type Losses } from './losses';
import { redoLease } from './redo';

export interface ReplayOptions extends ReplayMachine {
  manifest: Manifest;
  /** Path of the data set's bytes. */
  dataset: string;
  maxDatasetBytes: number;
  /** The directory of the job's base, if it has one. */
  base?: string | undefined;
  /** Emptied at the end. */
  workDir: string;
  /** Which leases are re-executed. */
  isRedone(lease: { round: number; start: number }): boolean;
  /** Whether in the round they belong to, which needs the least disk; else once all folds are found right. */
  redoAtOnce: boolean;
  /** The greatest difference of a measured loss from the claimed one, in nats per token. */
  lossTolerance: number;
  /** The last round to repeat, when no more is asked for; then neither model nor losses are compared. */
  lastRound?: number | undefined;
}

export interface ReplayDeps {
  blobs: ReplayBlobs;
  openChild(spec: TrainerSpec): ReplayChild;
  onProgress?: ((progress: ReplayProgress) => void) | undefined;
}

export type ReplayProgress =
  | { step: 'prepare' | 'losses' }
  | { step: 'fold'; round: number; rounds: number }
  | { step: 'lease'; lease: CheckedLease };

/** A re-executed lease. */
export interface CheckedLease {
  name: string;
  worker: string;
  /** What it was done again on. Only the same arithmetic gives equal bits. */
  machine: string;
  distance: number;
  isWithin: boolean;
  /** An audit called it other work, and it must not be within the tolerance. */
  isFailed: boolean;
  seconds: number;
}

export interface ReplayReport {
  /** The last θ that came out. */
  theta: Sha256;
  /** Rounds that came out bit for bit. */
  rounds: number;
  leases: CheckedLease[];
  losses?: Losses | undefined;
  /** The first difference found; undefined when all is as the manifest claims. */
  difference?: Difference | undefined;
}

/** Honest executions lie below the tolerance by more than this factor. */
const CLEARLY_EQUAL = 4;
/** Updates are at most fp32; the rest is for headers and scales. */
const BYTES_PER_PARAMETER = 4.1;
const HEADER_BYTES = 4 * 1024 * 1024;
/** Only people read the card, and its words may change with the version that wrote it. */
const CARD = 'README.md';

export async function replayJob(options: ReplayOptions, deps: ReplayDeps): Promise<ReplayReport> {
  const { manifest, device, threads, workDir, base } = options;
  await using children = new ReplayChildren({ manifest, device, threads, workDir, base }, deps.openChild);
  const replay = new Replay(options, deps, children);
  try {
    await mkdir(workDir, { recursive: true });
    await replay.run();
    return replay.report;
  } catch (error) {
    if (error instanceof DifferenceFound) return { ...replay.report, difference: error.difference };
    throw error;
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

class Replay {
  readonly report: ReplayReport;
  /** Rounds with leases still to be re-executed. */
  private readonly kept: ReplayedRound[] = [];
  /** Leases that an audit called other work. */
  private readonly failed: ReadonlySet<string>;
  /** The first lease of which another execution does not confirm what the manifest says. */
  private wrongLease: Difference | undefined;

  constructor(
    private readonly options: ReplayOptions,
    private readonly deps: ReplayDeps,
    private readonly children: ReplayChildren,
  ) {
    this.failed = failedLeases(options.manifest);
    const [first] = options.manifest.rounds;
    if (!first) throw new Error('The manifest has no round');
    this.report = { theta: first.theta, rounds: 0, leases: [] };
  }

  async run(): Promise<void> {
    const { manifest, lastRound } = this.options;
    const { params } = manifest;
    this.deps.onProgress?.({ step: 'prepare' });
    await this.prepare();
    const { theta: theta0, parameters } = await this.init();
    const start = lastRound === undefined ? await this.evaluate(theta0) : undefined;
    const end = await replayFolds({
      rounds: manifest.rounds.filter(({ round }) => round <= (lastRound ?? round)),
      theta0,
      dir: this.options.workDir,
      maxUpdateBytes: Math.ceil(parameters * BYTES_PER_PARAMETER) + HEADER_BYTES,
      coordinator: await this.children.coordinator(),
      blobs: this.deps.blobs,
      onRound: (replayed) => this.onRound(replayed),
      isKept: (round) => this.kept.some((other) => other.round === round),
    });
    if (start !== undefined) {
      this.deps.onProgress?.({ step: 'losses' });
      this.report.losses = { start, end: await this.evaluate(end) };
      const difference = checkLosses({ ...manifest, params }, this.report.losses, this.options.lossTolerance);
      if (difference) throw new DifferenceFound(difference);
      // Last, as its picture shows the losses.
      await this.checkModel(end);
    }
    for (const replayed of this.kept) {
      await this.redoRound(replayed);
      await removeRound(replayed, this.deps.blobs);
    }
    if (this.wrongLease) throw new DifferenceFound(this.wrongLease);
  }

  private async prepare(): Promise<void> {
    const { manifest, dataset, maxDatasetBytes: maxBytes } = this.options;
    const coordinator = await this.children.coordinator();
    const { prepared } = await coordinator.run({ type: 'prepare', dataset, maxBytes }, 'prepared').catch((error) => {
      // The child's finding about the data is one about the job; every other failure is this machine's own.
      if (!(error instanceof AppError) || !isDataFault(error.code)) throw error;
      return failReplay('dataUnusable', { reason: error.message, expected: 'usable data', got: error.code });
    });
    const [expected, got] = [canonicalJson(prepared), canonicalJson(manifest.prepared)];
    if (expected === got) return;
    failReplay('data', { reason: 'the data was not split as the parameters require', expected, got });
  }

  private async init() {
    const { manifest, workDir } = this.options;
    const coordinator = await this.children.coordinator();
    const command = { type: 'init' as const, out: join(workDir, 'theta-0.safetensors') };
    const initial = await coordinator.run(command, 'initialised');
    const [expected, got] = [initial.theta.sha256, this.report.theta];
    if (expected === got) return initial;
    const reason = `seed ${manifest.params.seed} gives the first weights ${expected}, not ${got}`;
    return failReplay('firstWeights', { round: 0, reason, expected, got });
  }

  private async onRound(replayed: ReplayedRound): Promise<void> {
    const { round } = replayed;
    for (const lease of round.leases) await this.checkShard(round, lease);
    this.report.theta = round.nextTheta;
    this.report.rounds += 1;
    const { length: rounds } = this.options.manifest.rounds;
    this.deps.onProgress?.({ step: 'fold', round: round.round, rounds });
    if (!round.leases.some((lease) => this.isRedone(round, lease))) return;
    if (this.options.redoAtOnce) await this.redoRound(replayed);
    else this.kept.push(replayed);
  }

  private isRedone({ round }: ManifestRound, lease: ManifestLease): boolean {
    // Of the unpaid leases only those count that an audit itself found wrong: they must be.
    const isJudged = !lease.isRefuted || this.failed.has(leaseKey({ ...lease, round }));
    return isJudged && this.options.isRedone({ ...lease, round });
  }

  private async checkShard(round: ManifestRound, lease: ManifestLease): Promise<void> {
    const shard = await this.cut(lease);
    await rm(shard.path, { force: true });
    const { sha256: expected } = shard;
    if (expected === lease.shard) return;
    const reason = `the blocks [${lease.start}, ${lease.end}) are the shard ${expected}, not ${lease.shard}`;
    failReplay('shard', { ...placeOf(round.round, lease), reason, expected, got: lease.shard });
  }

  private async cut({ start, end }: ManifestLease): Promise<FileRef> {
    const coordinator = await this.children.coordinator();
    const out = join(this.options.workDir, 'shard.safetensors');
    return (await coordinator.run({ type: 'cut', start, end, out }, 'cut')).shard;
  }

  private async redoRound({ round, theta }: ReplayedRound): Promise<void> {
    for (const lease of round.leases) if (this.isRedone(round, lease)) await this.redo(round, lease, theta);
  }

  private async redo({ round }: ManifestRound, lease: ManifestLease, theta: FileRef): Promise<void> {
    const { device, manifest } = this.options;
    const leaseTolerance = toleranceOf(manifest.params, [device === 'cpu' ? 'cpu' : 'cuda', lease.deviceKind]);
    const shard = await this.cut(lease);
    const update = { path: this.deps.blobs.path(lease.update), sha256: lease.update };
    const { path, sha256 } = theta;
    const { trainer, machine } = await this.children.trainer();
    const { distance, ...redone } = await redoLease(
      { round, start: lease.start, theta: { path, sha256 }, shard: shard.path, update },
      {
        out: join(this.children.trainDir, 'redone.safetensors'),
        trainer,
        coordinator: await this.children.coordinator(),
      },
    );
    const name = leaseKey({ round, start: lease.start });
    const isWithin = distance <= leaseTolerance;
    const isFailed = this.failed.has(name);
    const checked = { name, worker: lease.worker, machine, distance, isWithin, isFailed, seconds: redone.seconds };
    this.report.leases.push(checked);
    this.deps.onProgress?.({ step: 'lease', lease: checked });
    this.wrongLease ??= this.findWrongLease(round, lease, { ...checked, leaseTolerance, redone: redone.update.sha256 });
  }

  private findWrongLease(
    round: number,
    lease: ManifestLease,
    found: Pick<CheckedLease, 'name' | 'distance' | 'isFailed'> & { leaseTolerance: number; redone: Sha256 },
  ): Difference | undefined {
    const { name, distance, isFailed, leaseTolerance, redone } = found;
    const facts = { ...placeOf(round, lease), got: lease.update, measured: `${distance} away from ${redone}` };
    // Near the limit two machines may see it differently; what is clearly equal was refuted falsely.
    const clearlyEqual = leaseTolerance / CLEARLY_EQUAL;
    if (isFailed && distance <= clearlyEqual) {
      const reason = `lease ${name} done again gives the merged update, which the node's audits call other work`;
      const expected = `an update more than ${clearlyEqual} away from the lease done again`;
      return describeDifference('audit', { ...facts, reason, expected });
    }
    if (isFailed || distance <= leaseTolerance) return undefined;
    return describeDifference('lease', {
      ...facts,
      reason: `lease ${name} done again gives another update than the merged one`,
      expected: `an update at most ${leaseTolerance} away from the lease done again`,
    });
  }

  /** The exported files must be what the last θ exports to, or the model was exchanged. */
  private async checkModel(theta: FileRef): Promise<void> {
    const { manifest, workDir } = this.options;
    const coordinator = await this.children.coordinator();
    const directory = join(workDir, 'exported');
    const base = manifest.base && nameBase(manifest.base);
    const curve = lossCurve(manifest);
    const command = { type: 'export' as const, theta: theta.path, directory, card: {}, curve, base };
    const { files } = await coordinator.run(command, 'exported');
    await rm(directory, { recursive: true });
    const list = (all: readonly { name: string; sha256: string }[]) =>
      canonicalJson(
        all
          .filter(({ name }) => name !== CARD)
          .map(({ name, sha256 }) => `${name} ${sha256}`)
          .sort(),
      );
    const [expected, got] = [list(files), list(manifest.model)];
    if (expected === got) return;
    failReplay('files', { reason: 'the model is not what the last weights export to', expected, got });
  }

  private async evaluate(theta: FileRef): Promise<number> {
    const coordinator = await this.children.coordinator();
    const command = { type: 'evaluate' as const, model: { theta: theta.path }, maxSequences: 0 };
    const evaluated = await coordinator.run(command, 'evaluated').catch((error) => {
      if (errorCode(error) !== 'model/not-finite') throw error;
      const reason = `the weights ${theta.sha256} have no finite loss`;
      return failReplay('notFinite', { reason, expected: 'a finite loss', got: theta.sha256 });
    });
    return evaluated.loss;
  }
}
