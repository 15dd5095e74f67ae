/** Training as the workers make it: those that go, come back, do it badly, or are sent away. */
import type { MasterRig } from '../../support/master-rig';
import { PAID, playTimelines, type Timeline, TO_TRAINING, TO_VERIFIED } from '../../support/master-rig-books';
import type { LeaseFate } from '../../support/master-rig-worker';

const done = { history: TO_VERIFIED, mined: PAID };
const declined = { history: `${TO_TRAINING} declining declined`, mined: 'process decline' };
const two = { workers: 2 };
/** A deadline near enough for a test to wait for it. */
const soon = { deadlineMs: 300_000 };

const grants = (rig: MasterRig) => rig.worker.leases.length;
const midLease = (rig: MasterRig) => rig.until('the worker holds a lease', () => rig.worker.holdsLease);
const meets =
  (...fates: LeaseFate[]) =>
  (rig: MasterRig) =>
    void rig.worker.fates.push(...fates);
const refusals = (rig: MasterRig) => rig.worker.heardOf('update.verdict').filter(({ accepted }) => !accepted).length;
/** Who is paid besides the node, by their place among the workers. */
const paid = (rig: MasterRig) => rig.workers.map(({ address }) => rig.chain.credits.has(address));
/** The contract took the job back at the low price, soon after it was claimed. */
async function openForOthers(rig: MasterRig, withinMs = Number.POSITIVE_INFINITY): Promise<void> {
  expect(await rig.chain.job(rig.jobId)).toMatchObject({ state: 'REQUESTED', node: undefined });
  const at = new Map((await rig.store.jobs.history(rig.jobId)).map(({ state, atMs }) => [state, atMs]));
  expect(at.get('declined')! - at.get('claimed')!).toBeLessThanOrEqual(withinMs);
}

describe('workers that go', () => {
  playTimelines([
    {
      situation: 'cut in mid-lease',
      outcome: 'the same lease goes on',
      async act(rig) {
        await midLease(rig);
        rig.worker.cut();
        await rig.pass(3000);
        rig.worker.connect(rig.door);
      },
      ...done,
      check: (rig) => expect(grants(rig)).toBe(2),
    },
    {
      situation: 'cut while its update is fetched',
      outcome: 'fetched again, not trained again',
      async act(rig) {
        await rig.until('its update is fetched', () => rig.worker.uploads === 1);
        rig.worker.cut();
        await rig.pass(3000);
        rig.worker.connect(rig.door);
      },
      ...done,
      check: (rig) => expect([grants(rig), rig.worker.uploads]).toEqual([2, 3]),
    },
    {
      situation: 'one of two leaves in mid-lease',
      outcome: 'the other does the rest',
      options: two,
      async act(rig) {
        await midLease(rig);
        rig.worker.leave();
      },
      ...done,
      check: (rig) => expect(paid(rig)).toEqual([false, true]),
    },
    {
      situation: 'only worker is restarted in mid-lease',
      outcome: 'its lease is granted again at once',
      async act(rig) {
        await midLease(rig);
        rig.worker.restart(rig.door);
      },
      ...done,
      check: (rig) => expect(grants(rig)).toBe(3),
    },
    {
      situation: 'only worker cannot do the job',
      outcome: 'given back within a minute, and open for others',
      given: (rig) => {
        rig.worker.opens = 'failed';
      },
      ...declined,
      reason: 'out of memory',
      check: (rig) => openForOthers(rig, 60_000),
    },
    {
      situation: 'only worker is far too slow',
      outcome: 'given back after two rounds, and open for others',
      options: { blocks: 800, deadlineMs: 600_000 },
      ...declined,
      reason: 'at the pace of its last round',
      check: (rig) => openForOthers(rig, 60_000),
    },
    {
      situation: 'only worker leaves for good',
      outcome: 'given back before the deadline',
      options: soon,
      async act(rig) {
        await midLease(rig);
        rig.worker.leave();
      },
      ...declined,
      reason: 'another node can have it',
      check: (rig) => openForOthers(rig),
    },
    {
      situation: 'one of two never gets ready',
      outcome: 'the other does not wait for it',
      options: two,
      given: (rig) => {
        rig.worker.opens = 'silent';
      },
      ...done,
      check: (rig) => expect(paid(rig)).toEqual([false, true]),
    },
    {
      situation: 'one of two cannot do the job',
      outcome: 'it is not asked again',
      options: two,
      given: (rig) => {
        rig.worker.opens = 'failed';
      },
      ...done,
      check: (rig) => expect([rig.worker.heardOf('job.open').length, ...paid(rig)]).toEqual([1, false, true]),
    },
  ]);
});

describe('workers whose devices are too small', () => {
  playTimelines([
    {
      situation: 'one of two',
      outcome: 'it never hears of the job, the other does it',
      options: two,
      given: (rig) => {
        rig.worker.memoryBytes = 1000;
      },
      ...done,
      check: (rig) => expect([rig.worker.heardOf('job.open').length, ...paid(rig)]).toEqual([0, false, true]),
    },
    {
      situation: 'the only one, for ten minutes',
      outcome: 'not taken, no deposit is locked, one line of history',
      given: (rig) => {
        rig.worker.memoryBytes = 1000;
      },
      async act(rig) {
        await rig.pass(600_000);
        expect(await rig.store.jobs.find(rig.jobId)).toMatchObject({
          reason: expect.stringContaining('MiB on a device'),
        });
        rig.chain.end(rig.jobId, 'CANCELED');
      },
      history: 'queued skipped failed',
      mined: '',
      reason: 'CANCELED',
    },
    {
      situation: 'the only one, until a larger one comes',
      outcome: 'taken then',
      options: { workers: 2 },
      given: (rig) => {
        const [small, large] = rig.workers;
        small!.memoryBytes = 1000;
        large!.isGone = true;
      },
      async act(rig) {
        await rig.untilState('skipped');
        Object.assign(rig.workers[1]!, { isGone: false });
        rig.workers[1]!.connect(rig.door);
      },
      history: `queued skipped ${TO_VERIFIED.slice('queued '.length)}`,
      mined: PAID,
    },
  ]);
});

describe('leases that fail', () => {
  const cases: { fate: LeaseFate; refused: number }[] = [
    { fate: 'is silent', refused: 0 },
    { fate: 'fails', refused: 0 },
    { fate: 'claims too many tokens', refused: 1 },
    { fate: 'names too large an update', refused: 1 },
    { fate: 'sends other bytes', refused: 1 },
    { fate: 'sends garbage', refused: 1 },
  ];
  playTimelines(
    cases.map(
      ({ fate, refused }): Timeline => ({
        situation: `worker ${fate} once`,
        outcome: 'its blocks are leased again',
        given: meets(fate),
        ...done,
        check: (rig) => expect([grants(rig), refusals(rig)]).toEqual([3, refused]),
      }),
    ),
  );

  playTimelines([
    {
      situation: 'three bad updates of one of two',
      outcome: 'dismissed, the other does the rest',
      options: { workers: 2, blocks: 64 },
      given: meets('sends garbage', 'sends other bytes', 'claims too many tokens'),
      ...done,
      check(rig) {
        expect([grants(rig), refusals(rig)]).toEqual([3, 3]);
        expect(rig.worker.heardOf('job.close')[0]?.reason).toContain('3 updates were rejected');
      },
    },
    {
      situation: 'three bad updates of the only worker',
      outcome: 'dismissed, given back before the deadline',
      options: soon,
      given: meets('sends garbage', 'sends garbage', 'sends garbage'),
      ...declined,
      check: (rig) => expect(grants(rig)).toBe(3),
    },
    {
      situation: 'two bad updates, then good ones',
      outcome: 'paid',
      given: meets('sends garbage', 'sends garbage'),
      ...done,
      check: (rig) => expect([grants(rig), refusals(rig)]).toEqual([4, 2]),
    },
  ]);
});

describe('updates that are no work', () => {
  const doubts = (rig: MasterRig) => rig.log.filter((line) => line.includes('Update is doubtful'));
  const failedAudits = (rig: MasterRig) =>
    rig.log.filter((line) => line.includes('Worker is taken off the job') && line.includes(rig.worker.address)).length;
  const reasonOf = (rig: MasterRig) =>
    rig.worker.heardOf('update.verdict').find(({ accepted }) => !accepted)?.reason ?? '';

  playTimelines(
    (
      [
        ['sends zeros', [], /is 0.0e\+0 long/],
        ['sends something useless', [], /do not lower the loss/],
        ['repeats its last update', ['trains'], /came before/],
        ['trains from old weights', ['trains'], /does not lead from the weights/],
      ] as const
    ).map(
      ([fate, before, reason]): Timeline => ({
        situation: `worker ${fate}`,
        outcome: 'refused, and its blocks are leased again',
        given: meets(...before, fate),
        ...done,
        check(rig) {
          expect([grants(rig), refusals(rig)]).toEqual([3, 1]);
          expect(reasonOf(rig)).toMatch(reason);
        },
      }),
    ),
  );

  playTimelines([
    {
      situation: 'one of two copies the other with a change',
      outcome: 'both are marked for an audit',
      options: two,
      given(rig) {
        const [copier, other] = rig.workers;
        Object.assign(copier!, { copies: other, trainMs: 20_000 });
        copier!.fates.push('copies another');
      },
      ...done,
      check(rig) {
        expect(refusals(rig)).toBe(0);
        for (const { address } of rig.workers) expect(doubts(rig).filter((l) => l.includes(address))).toHaveLength(1);
      },
    },
    {
      situation: 'one of two sends three times its update after honest ones',
      outcome: 'marked for an audit, which it fails',
      options: { workers: 3, blocks: 120 },
      given: meets('trains', 'trains', 'trains', 'sends three times its update'),
      ...done,
      check(rig) {
        expect([refusals(rig), failedAudits(rig)]).toEqual([0, 1]);
        expect(doubts(rig)).toEqual([expect.stringContaining('longer or shorter')]);
      },
    },
    {
      situation: 'one of two sends something useless after two useful updates',
      outcome: 'marked for an audit, which it fails',
      options: { workers: 3, blocks: 120 },
      given: meets('trains', 'trains', 'sends something useless'),
      ...done,
      check(rig) {
        expect([refusals(rig), failedAudits(rig)]).toEqual([0, 1]);
        expect(doubts(rig)).toEqual([expect.stringContaining('does not lower')]);
      },
    },
    {
      situation: 'restarted while an update repeats',
      outcome: 'the ledger still knows the first',
      given(rig) {
        meets('trains', 'repeats its last update')(rig);
        rig.killsAt('after', 'rounds.fold');
      },
      ...done,
      starts: 2,
      check: (rig) => expect(reasonOf(rig)).toMatch(/came before/),
    },
  ]);
});

describe('operator', () => {
  playTimelines([
    {
      situation: 'one of two is disconnected in mid-lease',
      outcome: 'the other does the rest',
      options: two,
      async act(rig) {
        await midLease(rig);
        await rig.master.admin.disconnect(rig.worker.address);
      },
      ...done,
      async check(rig) {
        expect([rig.worker.refused, ...paid(rig)]).toEqual(['disconnected by the operator', false, true]);
        expect(await rig.store.workers.isBlocked(rig.worker.address)).toBe(true);
      },
    },
    {
      situation: 'only worker is disconnected and allowed again',
      outcome: 'it does the rest',
      async act(rig) {
        await midLease(rig);
        await rig.master.admin.disconnect(rig.worker.address);
        await rig.pass(10_000);
        await rig.master.admin.allow(rig.worker.address);
        rig.worker.connect(rig.door);
      },
      ...done,
      check: (rig) => expect(paid(rig)).toEqual([true]),
    },
  ]);
});
