/** How much of a job its workers train, by the master's own clock. */
import { runRounds } from '../../../src/master/training';
import { listUtilisation } from '../../../src/master/work-times';
import { letPass, openTestJob, type TestJob } from '../../support/test-job';

let rig: TestJob | undefined;
afterEach(() => rig?.[Symbol.asyncDispose]());

/** Has a job of some twenty rounds done by workers of these times per block; returns how busy each was. */
async function trainWith(...blockMs: number[]): Promise<number[]> {
  rig = await openTestJob({ blocks: 2200, workers: blockMs.map(() => 0.001) });
  const { plan } = rig.job;
  const job = { ...rig.job, plan: { ...plan, params: { ...plan.params, round: { steps: 50 } } } };
  for (const [i, worker] of rig.workers.entries()) {
    worker.blockMs = blockMs[i];
    rig.connect(worker);
  }
  let isOver = false;
  const trained = runRounds(job).finally(() => {
    isOver = true;
  });
  await letPass(rig.clock, () => isOver);
  await trained;
  const parts = listUtilisation(job.live, rig.clock.now());
  return rig.workers.map(({ address }) => parts[address] ?? 0);
}

test('strangers, one four times as fast: it idles for at most 8 % of the job', async () => {
  const [fast = 0, slow = 0] = await trainWith(200, 800);
  expect(fast).toBeGreaterThanOrEqual(0.92);
  expect(slow).toBeGreaterThanOrEqual(0.85);
});
