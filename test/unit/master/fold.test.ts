/** How a round ends: which updates are summed, in which order, and what the workers get. */
import { abandonRound, foldRound } from '../../../src/master/fold';
import { grantRound } from '../../../src/master/leases';
import type { RoundState } from '../../../src/master/round-state';
import { CoordinateCommand } from '../../../src/protocol/trainer';
import { letPass, openTestJob, setMeasured, type TestJob, type TestJobOptions } from '../../support/test-job';

type Fold = Extract<CoordinateCommand, { type: 'fold' }>;

let rig: TestJob | undefined;
afterEach(() => rig?.[Symbol.asyncDispose]());

/** A round that is leased to every worker; `folds` are the commands the Python child was given. */
async function openRound(options: TestJobOptions = {}) {
  rig = await openTestJob({ workers: [50, 50], ...options });
  const folds: Fold[] = [];
  const { run } = rig.job.coordinator;
  const job: typeof rig.job = {
    ...rig.job,
    coordinator: {
      run: (command, answer) => {
        const parsed = CoordinateCommand.parse({ ...command, id: 1 });
        if (parsed.type === 'fold') folds.push(parsed);
        return run(command, answer);
      },
    },
  };
  await rig.gather();
  setMeasured(job, rig.workers, 0.25, 0.75);
  return { ...rig, job, folds, round: (await grantRound(job))! };
}

const allReady = (round: RoundState) => () => round.unsettled().length === 0;

describe('foldRound', () => {
  test('all updates are in: summed by worker address, weighted by tokens', async () => {
    const { job, round, folds, workers, until, blobs } = await openRound();
    // The second worker is faster and commits first; the order is that of the addresses all the same.
    workers[1]!.trainMs = 10;
    await until(allReady(round), round);
    const { theta } = await foldRound(job, round, 1);
    const updates = workers.map(({ address }) => [...round.leases.values()].find(({ worker }) => worker === address)!);
    expect(folds).toMatchObject([
      {
        theta: blobs.path(job.plan.theta0),
        scale: 1,
        updates: updates.map(({ work }, i) => ({ path: blobs.path(work!.update.sha256), weight: [128, 384][i] })),
      },
    ]);
    expect(await job.deps.store.rounds.latest(job.jobId)).toMatchObject({
      state: 'folded',
      nextTheta: theta,
      scale: 1,
    });
    expect(await job.deps.store.ledger.merged(job.jobId)).toBe(8);
  });

  test('lease unsettled: released, and the others are folded', async () => {
    const { job, round, workers, folds, until } = await openRound();
    workers[0]!.fates.push('is silent');
    workers[0]!.leave();
    await until(() => round.ready().length === 1, round);
    await foldRound(job, round, 0.75);
    expect(folds).toMatchObject([{ scale: 0.75, updates: [{ weight: 384 }] }]);
    expect(await job.deps.store.ledger.available(job.jobId)).toBe(10);
    expect(workers[0]!.receipts).toEqual([]);
  });

  test('second round: the outer optimiser goes on from its state', async () => {
    const { job, round, folds, until, blobs } = await openRound();
    await until(allReady(round), round);
    await foldRound(job, round, 1);
    const next = (await grantRound(job))!;
    await until(allReady(next), next);
    await foldRound(job, next, 1);
    const before = await job.deps.store.rounds.find(job.jobId, 0);
    expect(folds[0]).not.toHaveProperty('outer');
    expect(folds[1]!.outer).toBe(blobs.path(before!.outer!));
  });

  test('live figures: blocks, time and the loss weighted by blocks', async () => {
    const { job, round, until } = await openRound();
    await until(allReady(round), round);
    for (const lease of round.ready()) lease.work!.loss = lease.end - lease.start;
    await foldRound(job, round, 1);
    expect(job.live).toMatchObject({ mergedBlocks: 8, loss: (2 * 2 + 6 * 6) / 8, lastFoldMs: job.deps.clock.now() });
  });
});

test('round abandoned: its blocks go back, and the next attempt waits two seconds', async () => {
  const { job, round, clock } = await openRound();
  const startedAtMs = clock.now();
  let isOver = false;
  const abandoned = abandonRound(job, round).then(() => {
    isOver = true;
  });
  await letPass(clock, () => isOver);
  await abandoned;
  expect(clock.now() - startedAtMs).toBe(2000);
  expect(await job.deps.store.ledger.available(job.jobId)).toBe(16);
});
