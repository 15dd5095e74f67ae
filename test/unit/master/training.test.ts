/** The loop over a job's rounds: when the next one opens, and when the job is given up. */
import type { JobContext } from '../../../src/master/job-context';
import { runRounds } from '../../../src/master/training';
import type { LeaseFate } from '../../support/master-rig-worker';
import { letPass, openTestJob, setMeasured, type TestJob } from '../../support/test-job';

let rig: TestJob | undefined;
afterEach(() => rig?.[Symbol.asyncDispose]());

/** Runs the rounds until they end, or throws what they threw. */
async function finish({ clock }: TestJob, job: JobContext): Promise<void> {
  let outcome: (() => void) | undefined;
  void runRounds(job).then(
    () => {
      outcome = () => undefined;
    },
    (error: unknown) => {
      outcome = () => {
        throw error;
      };
    },
  );
  await letPass(clock, () => outcome !== undefined);
  outcome?.();
}

test('two workers: rounds until every block is merged once', async () => {
  rig = await openTestJob({ workers: [50, 50] });
  for (const worker of rig.workers) rig.connect(worker);
  await finish(rig, rig.job);
  const { store } = rig;
  expect(await store.ledger.audit(rig.job.jobId, 16)).toMatchObject({ minMerged: 1, maxMerged: 1 });
  expect((await store.rounds.list(rig.job.jobId)).map(({ state }) => state)).toEqual(['folded', 'folded']);
});

test('every round: its fold checked before the next one is folded', async () => {
  rig = await openTestJob();
  rig.connect(rig.workers[0]!);
  await finish(rig, rig.job);
  const losses = (await rig.store.rounds.list(rig.job.jobId)).map(({ validationLoss }) => validationLoss);
  expect(losses).toEqual([4, 4, 4, 4]);
});

test('after a fold: the next leases are cut before its loss is measured', async () => {
  const commands: string[] = [];
  rig = await openTestJob({
    workers: [50, 50],
    met(command, answer) {
      commands.push(command);
      return answer();
    },
  });
  for (const worker of rig.workers) rig.connect(worker);
  await finish(rig, rig.job);
  const first = commands.slice(commands.indexOf('fold') + 1, commands.indexOf('fold') + 4);
  expect(first).toEqual(['cut', 'cut', 'evaluate']);
});

describe('workers known to be honest', () => {
  /** The first meets its leases with `fates`; one look fails, the first of all or after a doubt. */
  async function train(options: { workers: number; fates?: readonly LeaseFate[]; fails?: 'first' | 'after a doubt' }) {
    const { workers, fates = [], fails } = options;
    const isToFail = () => (fails === 'first' ? commands.includes('fold') : rig?.log.includes('Update is doubtful'));
    const commands: string[] = [];
    const opened = await openTestJob({
      workers: Array.from({ length: workers }, () => 50),
      blocks: 64 * workers,
      met(command, answer) {
        commands.push(command);
        if (fails && command === 'inspect' && isToFail() && !commands.includes('failed')) {
          commands.push('failed');
          throw new Error('as the test wishes');
        }
        return answer();
      },
    });
    rig = opened;
    setMeasured(opened.job, opened.workers, ...opened.workers.map(() => 1));
    const [first] = opened.workers;
    first!.fates.push(...fates);
    for (const worker of opened.workers) opened.connect(worker);
    await finish(opened, opened.job);
    const leases = await opened.store.ledger.listLeases(opened.job.jobId);
    return { commands, leases: leases.filter(({ worker }) => worker === first!.address), log: opened.log };
  }

  test('after a fold: the use of its updates is looked at before its loss', async () => {
    const { commands } = await train({ workers: 1 });
    const fold = commands.indexOf('fold');
    expect(commands.slice(fold - 1, fold + 4)).toEqual(['inspect', 'fold', 'cut', 'inspect', 'evaluate']);
  });

  const sevenGood = Array.from({ length: 7 }, () => 'trains' as const);
  test('eighth update is useless: merged, and its lease done again', async () => {
    const { leases, log } = await train({ workers: 2, fates: [...sevenGood, 'sends something useless'] });
    expect(leases[7]).toMatchObject({ state: 'merged', isDrawn: true });
    expect(log.filter((line) => line === 'Update is doubtful')).toHaveLength(1);
  });

  test('another cannot be looked at after that: its lease is done again all the same', async () => {
    const fates = [...sevenGood, 'sends something useless' as const];
    const { leases, log } = await train({ workers: 2, fates, fails: 'after a doubt' });
    expect(log).toContain('Use was not measured');
    expect(leases[7]).toMatchObject({ state: 'merged', isDrawn: true });
  });

  test('its use cannot be looked at: the loss of the fold is measured all the same', async () => {
    const { commands, log } = await train({ workers: 1, fails: 'first' });
    expect(commands.slice(commands.indexOf('failed'), commands.indexOf('failed') + 2)).toEqual(['failed', 'evaluate']);
    expect(log).toContain('Use was not measured');
  });
});

test('one worker ready, another opening: the round waits for it', async () => {
  rig = await openTestJob({ workers: [50, 50] });
  for (const worker of rig.workers) rig.connect(worker);
  await finish(rig, rig.job);
  const [first] = rig.workers;
  expect(first!.heardOf('lease.grant')[0]).toMatchObject({ round: 0, start: 0, end: 4 });
});

test('one worker ready, another never: the round opens without it after 20 s', async () => {
  rig = await openTestJob({ workers: [50, 50] });
  const { clock, job, workers } = rig;
  workers[1]!.opens = 'silent';
  const startedAtMs = clock.now();
  for (const worker of workers) rig.connect(worker);
  await finish(rig, job);
  const [lease] = await rig.store.ledger.listLeases(job.jobId, 0);
  expect(lease!.grantedAtMs - startedAtMs).toBeGreaterThanOrEqual(20_000);
  expect(workers[1]!.heardOf('lease.grant')).toEqual([]);
});

test('every lease of a round fails: the same round is leased again', async () => {
  rig = await openTestJob();
  rig.workers[0]!.fates.push('fails');
  rig.connect(rig.workers[0]!);
  await finish(rig, rig.job);
  const rounds = rig.workers[0]!.heardOf('lease.grant').map(({ round }) => round);
  expect(rounds).toEqual([0, 0, 1, 2, 3]);
});

test('no worker ever comes: given up while another node can have the job', async () => {
  rig = await openTestJob({ deadlineMs: 600_000 });
  const { job, clock } = rig;
  await expect(finish(rig, job)).rejects.toMatchObject({ code: 'job/out-of-reach' });
  // The contract opens it again a minute before the deadline, and the transaction has to be mined.
  expect(job.deadlineMs - clock.now()).toBe(90_000);
});

test('contract wants more time for another node: given up earlier', async () => {
  rig = await openTestJob({ deadlineMs: 600_000 });
  const { job, clock } = rig;
  job.reach.minWorkMs = 300_000;
  await expect(finish(rig, job)).rejects.toMatchObject({ code: 'job/out-of-reach' });
  expect(job.deadlineMs - clock.now()).toBe(330_000);
});

test('too late for another node anyway: tried until the deadline is near', async () => {
  rig = await openTestJob({ deadlineMs: 85_000 });
  const { job, clock } = rig;
  await expect(finish(rig, job)).rejects.toMatchObject({ code: 'job/deadline-near' });
  // Time is kept free for the last evaluation, export and submission.
  expect(job.deadlineMs - clock.now()).toBe(45_000);
});

test('every round needs too long: given up after two of them, with the figures', async () => {
  rig = await openTestJob({ blocks: 400, deadlineMs: 600_000 });
  rig.workers[0]!.trainMs = 20_000;
  rig.connect(rig.workers[0]!);
  await expect(finish(rig, rig.job)).rejects.toMatchObject({
    code: 'job/out-of-reach',
    message: expect.stringMatching(/needs about \d+ s more .* \d+ s are left/),
  });
  expect(rig.workers[0]!.heardOf('lease.grant').length).toBeLessThanOrEqual(3);
});

test('one long round, nearly done when time gets short: waited for', async () => {
  rig = await openTestJob({ deadlineMs: 600_000 });
  const [worker] = rig.workers;
  worker!.fates.push(...Array.from({ length: 30 }, () => 'is silent' as const));
  rig.connect(worker!);
  const { job, clock } = rig;
  const trained = finish(rig, job);
  void clock.sleep(500_000).then(() => {
    const { leaseId } = worker!.heardOf('lease.grant').at(-1)!;
    worker!.send({ type: 'lease.progress', leaseId, step: 15, steps: 16, loss: 5, tokensPerSecond: 1 });
  });
  await expect(trained).rejects.toMatchObject({ code: 'job/deadline-near' });
});

test('called again for a job that is trained: nothing is leased', async () => {
  rig = await openTestJob();
  rig.connect(rig.workers[0]!);
  await finish(rig, rig.job);
  const { length } = rig.workers[0]!.heardOf('lease.grant');
  await finish(rig, await rig.reopen());
  expect(rig.workers[0]!.heardOf('lease.grant')).toHaveLength(length);
});
