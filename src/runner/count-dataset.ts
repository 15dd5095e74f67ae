/** Counts the tokens of a data set in a Python child, by the very rule of the masters. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { AppError, describeError, errorCode } from '../lib/errors';
import { silentLogger } from '../lib/logger';
import type { NumberedParams } from '../protocol/job-params';
import { settleParams } from '../protocol/settle-params';
import type { Counted } from '../protocol/trainer';
import { pythonPath } from './python';
import { shutIn } from './trainers';

export type CountError = { code: 'data/refused'; reason: string } | { code: 'data/not-counted'; reason: string };

/** Data are counted the same way whatever the rates. */
const NOTHING_COUNTED = { trainable: 1, blocks: 1, workers: 1, autoCodec: 'int8' } as const;

/**
 * Returns what a master would make of the data set at `path`, which with a base depends on the files in
 * its directory. Throws `data/refused` when it would take no job with it, and `data/not-counted` where there
 * is no Python that can count.
 */
export async function countDataset(path: string, asked: NumberedParams, base?: string): Promise<Counted> {
  const dir = await mkdtemp(join(tmpdir(), 'emeth-count-'));
  const place = { device: 'cpu', threads: 0, workDir: join(dir, 'work') };
  try {
    // The data are the caller's own, so it need not be warned where there is no sandbox.
    const trainers = await shutIn(pythonPath(), { dir }, silentLogger);
    const params = settleParams(asked, NOTHING_COUNTED);
    const data = { params, base, dataset: resolve(path), maxBytes: Number.MAX_SAFE_INTEGER };
    await using child = trainers.open({ kind: 'count', ...place, ...data });
    const { type: _, ...counted } = await child.next('counted');
    return counted;
  } catch (cause) {
    const isRefused = errorCode(cause) === 'runner/bad-spec';
    const reason = isRefused
      ? describeError(cause)
      : 'no Python with the packages of python/requirements.txt runs here';
    throw new AppError<CountError>({ code: isRefused ? 'data/refused' : 'data/not-counted', reason }, reason, {
      cause,
    });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
