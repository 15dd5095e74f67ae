/** Giving a job back on chain: it costs a part of the deposit, so it is done once, and never forgotten. */

import { PAID, playTimelines, type Timeline, TO_TRAINING, TO_VERIFIED } from '../../support/master-rig-books';
import { stranger } from '../../support/master-rig-chain';

type Rig = Parameters<NonNullable<Timeline['given']>>[0];

/** The model turns out to be worth nothing, which is why the job is given back. */
const gaveUp = (also: (rig: Rig) => void = () => undefined) => ({
  given: (rig: Rig) => {
    rig.fails('child.export', { code: 'job/diverged' });
    also(rig);
  },
});
const declined = { history: `${TO_TRAINING} exporting declining declined`, mined: 'process decline' };
const failed = { history: `${TO_TRAINING} exporting declining failed`, mined: 'process' };

describe('fails', () => {
  playTimelines([
    { situation: 'nothing fails', outcome: 'given back', ...gaveUp(), ...declined },
    {
      situation: 'decline fails once',
      outcome: 'given back when tried again',
      ...gaveUp((rig) => rig.fails('chain.decline')),
      ...declined,
    },
    {
      situation: 'answer of decline is lost',
      outcome: 'given back once',
      ...gaveUp((rig) => rig.losesAnswer('chain.decline')),
      ...declined,
      check: (rig) => expect(rig.faults.count('chain.decline')).toBe(1),
    },
    {
      situation: 'storing that it is given back fails once',
      outcome: 'given back once',
      ...gaveUp((rig) => rig.fails('jobs.move', { after: 4 })),
      ...declined,
      check: (rig) => expect(rig.faults.count('chain.decline')).toBe(1),
    },
    {
      situation: 'decline fails 40 times',
      outcome: 'never given up, given back when it can be',
      ...gaveUp((rig) => rig.fails('chain.decline', { times: 40 })),
      ...declined,
    },
    {
      situation: 'reading the chain fails 40 times before decline',
      outcome: 'given back when it can be',
      ...gaveUp((rig) => rig.fails('chain.job', { after: 1, times: 40 })),
      ...declined,
    },
    {
      situation: 'the child dies of every fold until the last cheap moment',
      outcome: 'given back then, with what was in the way',
      options: { deadlineMs: 400_000 },
      given: (rig) => {
        rig.childDies('fold', { times: 1000 });
      },
      history: `${TO_TRAINING} declining declined`,
      mined: 'process decline',
      reason: 'cannot go on in time: The Python child ended',
      check: async (rig) => expect(await rig.chain.job(rig.jobId)).toMatchObject({ state: 'REQUESTED' }),
    },
    {
      situation: 'too late for another node',
      outcome: 'given back all the same',
      options: { deadlineMs: 90_000 },
      ...gaveUp(),
      ...declined,
    },
  ]);
});

describe('operator', () => {
  playTimelines([
    {
      situation: 'given back, then queued again by the operator',
      outcome: 'trained from its beginning and paid',
      ...gaveUp(),
      async act(rig) {
        await rig.untilState('declined');
        await rig.pass(10_000);
        expect(await rig.state()).toBe('declined');
        await rig.master.admin.requeue(rig.jobId);
      },
      history: `${declined.history} ${TO_VERIFIED}`,
      mined: `${declined.mined} ${PAID}`,
    },
  ]);
});

describe('chain says otherwise', () => {
  playTimelines(
    [true, false].flatMap((hears) => {
      const so = hears ? 'and the master hears it' : 'and the master hears nothing';
      const overtaken = (act: (rig: Rig) => void) =>
        gaveUp((rig) => {
          rig.before('chain.decline', () => {
            rig.isDeaf = !hears;
            act(rig);
          });
        });
      return [
        {
          situation: `timed out before decline, ${so}`,
          outcome: 'failed',
          ...overtaken((rig) => rig.chain.end(rig.jobId, 'TIMEOUT')),
          ...failed,
          reason: 'TIMEOUT',
        },
        {
          situation: `given back by hand before decline, ${so}`,
          outcome: 'declined',
          ...overtaken((rig) => rig.chain.giveBack(rig.jobId)),
          ...declined,
          mined: 'process',
        },
        {
          situation: `given back and taken by another, ${so}`,
          outcome: 'declined',
          ...overtaken((rig) => {
            rig.chain.giveBack(rig.jobId);
            rig.chain.takenBy(rig.jobId, stranger);
          }),
          ...declined,
          mined: 'process',
        },
      ];
    }),
  );
});

describe('killed', () => {
  const points = [
    ['chain.decline', 0],
    ['jobs.move', 4],
  ] as const;
  playTimelines([
    ...points.flatMap(([point, after]) =>
      (['before', 'after'] as const).map((moment) => ({
        situation: `killed ${moment} ${point}`,
        outcome: 'given back once',
        ...gaveUp((rig) => rig.killsAt(moment, point, after)),
        ...declined,
        starts: 2,
      })),
    ),
    {
      situation: 'killed before decline, timed out while down',
      outcome: 'failed',
      ...gaveUp((rig) => {
        rig.killsAt('before', 'chain.decline');
        rig.before('chain.job', () => rig.chain.end(rig.jobId, 'TIMEOUT'), 2);
      }),
      ...failed,
      starts: 2,
      reason: 'TIMEOUT',
    },
  ]);
});
