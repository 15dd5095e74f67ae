/** The work of one lease: fetch shard and weights, train, store the update. */
import { join } from 'node:path';
import type { Sha256 } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { crashPoint } from '../lib/crash-point';
import { AppError } from '../lib/errors';
import type { PullOptions } from '../link/ports';
import type { BlobRef } from '../protocol/blob-ref';
import type { TrainCommand } from '../protocol/trainer';
import type { Progress } from '../runner/trainer';
import type { JobChild, StuckError } from './job-child';
import type { Commit, OfferedLease } from './state';
import { runWatched } from './watched';

type ThetaSource = Extract<TrainCommand, { type: 'round.run' }>['theta'];

/** The worker's blob store; see `blobs/blob-store.ts`. */
export interface WorkerBlobs {
  path(sha256: Sha256): string;
  add(path: string, options: { move: boolean }): Promise<{ sha256: Sha256; bytes: number }>;
  remove(sha256: Sha256): Promise<void>;
}

export interface LeaseDeps {
  blobs: WorkerBlobs;
  pull(blob: BlobRef, options: PullOptions): Promise<void>;
  clock: Clock;
}

/** The blobs one lease has on disk, to be removed when the lease is settled. */
export class LeaseFiles {
  private readonly names = new Set<Sha256>();

  constructor(private readonly deps: LeaseDeps) {}

  /** Fetches a blob from the master. Throws `worker/wait-data-stuck` when no byte arrives for `limitMs`. */
  async pull(blob: BlobRef, limitMs: number, signal: AbortSignal): Promise<string> {
    this.names.add(blob.sha256);
    await pullWatched(blob, { limitMs, signal }, this.deps);
    return this.deps.blobs.path(blob.sha256);
  }

  async add(path: string): Promise<BlobRef> {
    const blob = await this.deps.blobs.add(path, { move: true });
    this.names.add(blob.sha256);
    return blob;
  }

  async remove(): Promise<void> {
    for (const name of this.names) await this.deps.blobs.remove(name);
    this.names.clear();
  }
}

/** Fetches a blob from the master. Throws `worker/wait-data-stuck` when no byte arrives for `limitMs`. */
export async function pullWatched(
  blob: BlobRef,
  { limitMs, signal, onProgress }: { limitMs: number; signal: AbortSignal; onProgress?: (bytes: number) => void },
  { pull, clock }: Pick<LeaseDeps, 'pull' | 'clock'>,
): Promise<void> {
  const stop = new AbortController();
  const work = (tick: () => void) =>
    pull(blob, {
      signal: AbortSignal.any([signal, stop.signal]),
      onProgress(bytes) {
        tick();
        onProgress?.(bytes);
      },
    });
  await runWatched(limitMs, clock, work, () => {
    stop.abort();
    return new AppError<StuckError>(
      { code: 'worker/wait-data-stuck', limitMs },
      `No data arrived from the master for ${limitMs} ms (timeout.wait_data).`,
    );
  });
}

/** Carries out a lease and returns the commit to send. Throws on any failure; nothing is retried here. */
export async function runLease(
  about: { lease: OfferedLease; child: JobChild; files: LeaseFiles; dir: string; waitDataMs: number },
  hooks: { signal: AbortSignal; onProgress(event: Progress): void },
): Promise<Commit> {
  const { lease, child, files, dir, waitDataMs } = about;
  const { leaseId, round, start } = lease;
  const [shard, theta] = await fetchTogether(hooks.signal, (signal) => {
    const pull = (blob: BlobRef) => files.pull(blob, waitDataMs, signal);
    return [fetchShard(lease, pull), fetchTheta(lease, child, pull)];
  });
  hooks.signal.throwIfAborted();
  const command = { type: 'round.run', round, start, shard, theta, out: join(dir, 'update.safetensors') } as const;
  const { update, tokens, loss, lossCurve, seconds, endTheta } = await child.runRound(command, hooks);
  crashPoint('round.trained');
  const { sha256, bytes } = await files.add(update.path);
  crashPoint('update.stored');
  return { type: 'lease.commit', leaseId, update: { sha256, bytes }, tokens, loss, lossCurve, seconds, endTheta };
}

/**
 * Fetches two things at once: on a long line that takes one journey instead of two. When one fails, the other
 * is stopped and waited for, so that nothing arrives after the lease is over.
 */
async function fetchTogether<A, B>(
  outer: AbortSignal,
  begin: (signal: AbortSignal) => [Promise<A>, Promise<B>],
): Promise<[A, B]> {
  const stop = new AbortController();
  const fetches = begin(AbortSignal.any([outer, stop.signal]));
  try {
    return await Promise.all(fetches);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(fetches);
    throw error;
  }
}

async function fetchShard({ shard }: OfferedLease, pull: (blob: BlobRef) => Promise<string>): Promise<string> {
  const path = await pull(shard);
  crashPoint('shard.received');
  return path;
}

async function fetchTheta(...about: Parameters<typeof locateTheta>): Promise<ThetaSource> {
  const source = await locateTheta(...about);
  crashPoint('theta.located');
  return source;
}

/**
 * Gets θ_r the cheapest way: the child holds it, an earlier child has left it here, a delta leads to it from
 * either, or all of it is fetched.
 */
async function locateTheta(
  { theta, delta }: OfferedLease,
  child: Pick<JobChild, 'theta' | 'kept'>,
  pull: (blob: BlobRef) => Promise<string>,
): Promise<ThetaSource> {
  const { sha256 } = theta;
  const held = child.theta;
  // A child that already holds θ recognises the hash and opens no file.
  if (held === sha256) return { path: sha256, sha256 };
  if (delta && held === delta.base) return { delta: await pull(delta.blob), base: delta.base, sha256 };
  const kept = await child.kept(sha256);
  if (kept) return { path: kept, sha256 };
  const basePath = delta && (await child.kept(delta.base));
  if (delta && basePath) return { delta: await pull(delta.blob), base: delta.base, basePath, sha256 };
  return { path: await pull(theta), sha256 };
}
