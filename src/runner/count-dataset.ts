/** Counts the tokens of a data set in a Python child, by the very rule of the masters. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, describeError, errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ResolvedParams } from '../protocol/job-params';
import type { Prepared } from '../protocol/trainer';
import { pythonPath } from './python';
import { openTrainer } from './trainer';

export type CountError = { code: 'data/refused'; reason: string } | { code: 'data/not-counted'; reason: string };

/**
 * Returns what a master would make of the text at `path`. Throws `data/refused` when it would take no job
 * with it, and `data/not-counted` where there is no Python that can count.
 */
export async function countDataset(path: string, params: ResolvedParams, logger: Logger): Promise<Prepared> {
  const workDir = await mkdtemp(join(tmpdir(), 'emeth-count-'));
  const spec = { kind: 'count', device: 'cpu', threads: 0, workDir, params, dataset: path } as const;
  try {
    await using child = openTrainer({ ...spec, maxBytes: Number.MAX_SAFE_INTEGER }, { python: pythonPath(), logger });
    return (await child.next('counted')).prepared;
  } catch (cause) {
    const isRefused = errorCode(cause) === 'runner/bad-spec';
    const reason = isRefused ? describeError(cause) : 'no Python with numpy and tokenizers runs here';
    throw new AppError<CountError>({ code: isRefused ? 'data/refused' : 'data/not-counted', reason }, reason, {
      cause,
    });
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}
