/** A fold that made the model worse: taken back, let stand, or the end of the job. */
import type { MasterRig } from '../../support/master-rig';
import { PAID, playTimelines, type Timeline, TO_TRAINING, TO_VERIFIED } from '../../support/master-rig-books';

const done = { history: TO_VERIFIED, mined: PAID };
const diverged = { history: `${TO_TRAINING} declining declined`, mined: 'process decline' };
const reasons = async (rig: MasterRig) =>
  (await rig.store.jobs.history(rig.jobId)).map(({ reason }) => reason ?? '').join(' ');
const three = { workers: 3, blocks: 72 };
const roundsOf = (rig: MasterRig) => rig.store.rounds.list(rig.jobId);
const spoilt = async (rig: MasterRig) =>
  (await rig.store.ledger.listLeases(rig.jobId)).filter(({ reason }) => reason?.includes('worse with its update'));

describe('one bad update', () => {
  playTimelines([
    ...(['spoils the model', 'ruins the model'] as const).map(
      (fate): Timeline => ({
        situation: `one of three ${fate}`,
        outcome: 'folded again without it, the open round recalled',
        options: three,
        given: (rig) => void rig.worker.fates.push(fate),
        ...done,
        async check(rig) {
          expect((await spoilt(rig)).map(({ worker, state }) => [worker, state])).toEqual([
            [rig.worker.address, 'released'],
          ]);
          const revoked = rig.workers.flatMap((worker) => worker.heardOf('lease.revoke'));
          expect(revoked.some(({ reason }) => reason.includes('folded again'))).toBe(true);
          expect((await roundsOf(rig)).map(({ validationLoss }) => validationLoss).every((loss) => loss === 4)).toBe(
            true,
          );
          expect(rig.log.filter((line) => line.includes('strikes'))).toHaveLength(1);
        },
      }),
    ),
    {
      situation: 'update of the last round spoils the model',
      outcome: 'folded again without it, and its blocks are trained',
      options: { workers: 2, blocks: 16 },
      given: (rig) => void rig.workers[1]!.fates.push('spoils the model'),
      ...done,
      async check(rig) {
        expect(await spoilt(rig)).toHaveLength(1);
        expect(rig.worker.receipts.length).toBeGreaterThan(1);
      },
    },
    {
      situation: 'good folds',
      outcome: 'receipts only once the fold is confirmed',
      options: { workers: 2, blocks: 16 },
      given: (rig) => rig.killsAt('before', 'rounds.confirm'),
      ...done,
      starts: 2,
      async check(rig) {
        const rounds = await roundsOf(rig);
        expect(rounds.every(({ isConfirmed }) => isConfirmed)).toBe(true);
        for (const { receipts } of rig.workers) {
          expect(new Set(receipts.map(({ round }) => round)).size).toBe(receipts.length);
        }
      },
    },
  ]);
});

describe('nobody to blame', () => {
  playTimelines([
    {
      situation: 'only worker spoils the model once',
      outcome: 'the fold stands, and the outer state begins anew',
      options: { blocks: 32 },
      given: (rig) => void rig.worker.fates.push('trains', 'spoils the model'),
      ...done,
      async check(rig) {
        const rounds = await roundsOf(rig);
        expect(rounds.map(({ resetsOuter }) => resetsOuter)).toEqual(rounds.map((_, i) => i === 1));
        expect(await spoilt(rig)).toEqual([]);
      },
    },
    {
      situation: 'three bad folds in a row',
      outcome: 'the job has diverged, given back at once',
      options: { blocks: 64 },
      given: (rig) =>
        void rig.worker.fates.push('trains', ...Array.from({ length: 3 }, () => 'spoils the model' as const)),
      ...diverged,
      async check(rig) {
        expect(rig.worker.leases.length).toBeLessThanOrEqual(5);
        expect(await reasons(rig)).toContain('diverged');
      },
    },
    {
      situation: 'the loss is no number whoever is left out',
      outcome: 'the job has diverged, given back at once',
      options: three,
      given: (rig) => {
        for (const worker of rig.workers) worker.fates.push('ruins the model');
      },
      ...diverged,
      check: async (rig) => expect(await reasons(rig)).toContain('diverged'),
    },
    {
      situation: 'the check itself fails',
      outcome: 'the fold stands',
      options: { blocks: 16 },
      given: (rig) => rig.fails('child.evaluate', { after: 1, times: 3 }),
      ...done,
    },
  ]);
});

describe('killed', () => {
  playTimelines(
    (['before', 'after'] as const).flatMap((moment) =>
      ['rounds.refold', 'child.evaluate'].map(
        (point): Timeline => ({
          situation: `killed ${moment} ${point} of a bad fold`,
          outcome: 'folded again without the bad update',
          options: three,
          given: (rig) => {
            rig.worker.fates.push('spoils the model');
            rig.killsAt(moment, point, point === 'child.evaluate' ? 2 : 0);
          },
          ...done,
          starts: 2,
          check: async (rig) => expect(await spoilt(rig)).toHaveLength(1),
        }),
      ),
    ),
  );
});
