/** Something unexpected throws at each moment of a job's life, and once at all of them: the job is done. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CrashPoint, crashPoints } from '../../../src/lib/crash-point';
import { openMasterRig } from '../../support/master-rig';
import { expectOutcome, PAID, TO_VERIFIED } from '../../support/master-rig-books';
import { openScratch } from '../../support/scratch';

let scratch: Awaited<ReturnType<typeof openScratch>>;
beforeEach(async () => {
  scratch = await openScratch();
  process.env.EMETH_CRASH_POINTS = scratch.path;
});
afterEach(async () => {
  delete process.env.EMETH_CRASH_POINTS;
  await scratch[Symbol.asyncDispose]();
});

/** Lets each of the points throw once while a job is done. */
async function throwAt(points: readonly CrashPoint[]): Promise<void> {
  await using rig = await openMasterRig({ blocks: 24, workers: 2 });
  for (const point of points) writeFileSync(scratch.file(point), 'throw 1');
  rig.request();
  await expectOutcome(rig, { history: TO_VERIFIED, mined: PAID });
  expect(points.filter((point) => !existsSync(join(scratch.path, `${point}.met`)))).toEqual([]);
}

test.each(crashPoints.master)('%s: done all the same, each block once', (point) => throwAt([point]));

test('every point in one job: done all the same, each block once', () => throwAt(crashPoints.master));
