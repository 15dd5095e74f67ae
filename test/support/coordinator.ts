/** A real Python child that coordinates a tiny job, for tests that train. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLogger } from '../../src/lib/logger';
import type { ResolvedParams } from '../../src/protocol/job-params';
import type { Prepared } from '../../src/protocol/trainer';
import { openTrainer, type Trainer } from '../../src/runner/trainer';
import { testPython, tinyText } from './tiny-job';

/** A coordinating child whose data are prepared and whose first weights are written. */
export interface TestCoordinator extends AsyncDisposable {
  child: Trainer;
  dir: string;
  params: ResolvedParams;
  prepared: Prepared;
  theta: { path: string; sha256: string; bytes: number };
  cut(start: number, end: number): Promise<{ path: string; sha256: string; bytes: number }>;
}

/** `base` is the directory of the job's base, if it has one. */
export async function openTestCoordinator(
  dir: string,
  params: ResolvedParams,
  base?: string,
): Promise<TestCoordinator> {
  const spec = { kind: 'coordinate', device: 'cpu', threads: 1, workDir: dir, jobId: 'test', params, base } as const;
  const child = openTrainer(spec, { python: testPython, logger: silentLogger });
  const dataset = join(dir, 'data.txt');
  await writeFile(dataset, tinyText(64));
  const { prepared } = await child.run({ type: 'prepare', dataset, maxBytes: 1 << 20 }, 'prepared');
  const { theta } = await child.run({ type: 'init', out: join(dir, 'theta0.safetensors') }, 'initialised');
  return {
    child,
    dir,
    params,
    prepared,
    theta,
    async cut(start, end) {
      const out = join(dir, `shard-${start}-${end}.safetensors`);
      return (await child.run({ type: 'cut', start, end, out }, 'cut')).shard;
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}
