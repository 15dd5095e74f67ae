/** A probe's longer run done again by this master's own child, and compared with what the worker sent. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PROBE_BATCH } from '../domain/probe';
import { AppError, errorCode } from '../lib/errors';
import { probeSpec } from '../protocol/probe';
import type { MeasureDeps, MeasureOptions } from './ports';
import type { ProbeWork } from './probe-session';

/** Stands for an update that cannot be read. */
const INCOMPARABLE = Number.MAX_VALUE;

/**
 * Returns how far the worker's update lies from this machine's, relative to its length; 0 when their bytes
 * are the same. Throws `measure/interrupted` when the signal aborts.
 */
export async function recheck(
  { probeId, plan, seed, done }: ProbeWork,
  { dataDir, device, threads }: MeasureOptions,
  deps: Pick<MeasureDeps, 'openChild' | 'blobs'>,
  signal: AbortSignal,
): Promise<number> {
  const workDir = join(dataDir, 'measure', probeId);
  const place = { device, threads, workDir, processes: 1, microBatch: PROBE_BATCH };
  const child = await deps.openChild(probeSpec({ probeId, shape: plan.shape, batch: PROBE_BATCH }, place));
  const stop = () => child.kill();
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    const paths = { theta: join(workDir, 'theta.safetensors'), shard: join(workDir, 'shard.safetensors') };
    const { theta, shard } = await child.run({ type: 'probe.make', seed, blocks: plan.long, ...paths }, 'probe.made');
    const from = { path: theta.path, sha256: theta.sha256 };
    const out = join(workDir, 'update.safetensors');
    const own = await child.run(
      { type: 'round.run', round: 0, start: 0, shard: shard.path, theta: from, out },
      'round.done',
    );
    if (own.update.sha256 === done.update.sha256) return 0;
    const update = deps.blobs.path(done.update.sha256);
    const compared = await child
      .run({ type: 'compare', update, expected: out }, 'compared')
      .catch((error) => (errorCode(error) === 'model/bad-file' ? { distance: INCOMPARABLE } : Promise.reject(error)));
    return compared.distance;
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new AppError({ code: 'measure/interrupted' }, 'The check of a probe was interrupted.', { cause: error });
  } finally {
    signal.removeEventListener('abort', stop);
    await child[Symbol.asyncDispose]();
    await rm(workDir, { recursive: true, force: true });
  }
}
