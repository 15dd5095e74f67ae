/** From the plan to the job taken on chain: `process()` locks a deposit, so it must not be lost sight of. */

import { openMasterRig } from '../../support/master-rig';
import { expectOutcome, PAID, playTimelines, TO_VERIFIED } from '../../support/master-rig-books';
import { stranger } from '../../support/master-rig-chain';

const done = { history: TO_VERIFIED, mined: PAID };
const failed = { history: 'queued claimed preparing failed', mined: '' };
const lookedAtAgain = {
  history: `queued claimed preparing skipped ${TO_VERIFIED.slice('queued '.length)}`,
  mined: PAID,
};

describe('fails once', () => {
  playTimelines([
    {
      situation: 'process fails once',
      outcome: 'taken when tried again',
      given: (rig) => rig.fails('chain.process'),
      ...done,
    },
    {
      situation: 'answer of process is lost',
      outcome: 'taken once',
      given: (rig) => rig.losesAnswer('chain.process'),
      ...done,
      check: (rig) => expect(rig.faults.count('chain.process')).toBe(1),
    },
    {
      situation: 'reading the chain fails once before process',
      outcome: 'taken when tried again',
      given: (rig) => rig.fails('chain.job'),
      ...done,
    },
    {
      situation: 'storing that it is taken fails once',
      outcome: 'taken once',
      given: (rig) => rig.fails('jobs.move', { after: 1 }),
      ...done,
      check: (rig) => expect(rig.faults.count('chain.process')).toBe(1),
    },
  ]);
});

describe('fails for long', () => {
  playTimelines([
    {
      situation: 'process fails 40 times',
      outcome: 'never given up, taken when it can be',
      given: (rig) => rig.fails('chain.process', { times: 40 }),
      ...done,
      check: (rig) => expect(rig.faults.count('chain.process')).toBe(41),
    },
    {
      situation: 'the contract refuses process twice',
      outcome: 'makes room, and is taken at the next look',
      given: (rig) => rig.fails('chain.process', { code: 'chain/reverted', times: 2 }),
      ...lookedAtAgain,
    },
    {
      situation: 'storing that it is taken fails 40 times',
      outcome: 'taken once',
      given: (rig) => rig.fails('jobs.move', { after: 1, times: 40 }),
      ...done,
      check: (rig) => expect(rig.faults.count('chain.process')).toBe(1),
    },
    {
      situation: 'process is mined, then the chain is silent for minutes',
      outcome: 'taken once',
      given: (rig) => {
        rig.losesAnswer('chain.process');
        rig.fails('chain.job', { after: 1, times: 40 });
      },
      ...done,
      check: (rig) => expect(rig.faults.count('chain.process')).toBe(1),
    },
  ]);
});

describe('chain says otherwise', () => {
  playTimelines([
    {
      situation: 'canceled before process, and the master hears it',
      outcome: 'failed',
      given: (rig) => rig.before('chain.process', () => rig.chain.end(rig.jobId, 'CANCELED')),
      ...failed,
      reason: 'CANCELED',
    },
    {
      situation: 'canceled before process, and the master hears nothing',
      outcome: 'refused, then failed',
      given: (rig) => {
        rig.before('chain.process', () => {
          rig.isDeaf = true;
          rig.chain.end(rig.jobId, 'CANCELED');
        });
      },
      ...failed,
      reason: 'CANCELED',
    },
    {
      situation: 'another node was faster, and the master hears it',
      outcome: 'failed',
      given: (rig) => rig.before('chain.process', () => rig.chain.takenBy(rig.jobId, stranger)),
      ...failed,
      reason: 'PROCESSING',
    },
    {
      situation: 'another node was faster, and the master hears nothing',
      outcome: 'refused, then failed',
      given: (rig) => {
        rig.before('chain.process', () => {
          rig.isDeaf = true;
          rig.chain.takenBy(rig.jobId, stranger);
        });
      },
      ...failed,
      reason: 'PROCESSING',
    },
    {
      situation: 'another node was faster, and gives it back a minute later',
      outcome: 'open again, and taken',
      given: (rig) => rig.before('chain.process', () => rig.chain.takenBy(rig.jobId, stranger)),
      async act(rig) {
        await rig.untilState('failed');
        await rig.pass(60_000);
        rig.chain.giveBack(rig.jobId);
        await rig.untilState('queued');
      },
      history: `${failed.history} ${TO_VERIFIED}`,
      mined: PAID,
    },
    {
      situation: 'another node took it and gave it back before process',
      outcome: 'taken all the same',
      given: (rig) => {
        rig.before('chain.process', () => {
          rig.chain.takenBy(rig.jobId, stranger);
          rig.chain.giveBack(rig.jobId);
        });
      },
      ...done,
    },
  ]);
});

describe('killed', () => {
  const points = ['chain.process', 'jobs.move'];
  playTimelines(
    points.flatMap((point) =>
      (['before', 'after'] as const).map((moment) => ({
        situation: `killed ${moment} ${point}`,
        outcome: 'taken once and paid once',
        given: (rig) => rig.killsAt(moment, point, point === 'jobs.move' ? 1 : 0),
        ...done,
        starts: 2,
      })),
    ),
  );

  playTimelines([
    {
      situation: 'killed after process, the chain is silent 40 times',
      outcome: 'taken once and paid once',
      given: (rig) => {
        rig.killsAt('after', 'chain.process');
        rig.fails('chain.job', { after: 1, times: 40 });
      },
      ...done,
      starts: 2,
    },
    {
      situation: 'killed before process, canceled while down',
      outcome: 'failed',
      given: (rig) => {
        rig.killsAt('before', 'chain.process');
        rig.before('chain.job', () => rig.chain.end(rig.jobId, 'CANCELED'), 1);
      },
      ...failed,
      starts: 2,
      reason: 'CANCELED',
    },
    {
      situation: 'killed before process, taken by another while down',
      outcome: 'failed',
      given: (rig) => {
        rig.killsAt('before', 'chain.process');
        rig.before('chain.job', () => rig.chain.takenBy(rig.jobId, stranger), 1);
      },
      ...failed,
      starts: 2,
      reason: 'PROCESSING',
    },
  ]);
});

test('killed 3 times around process: taken once and paid once', async () => {
  await using rig = await openMasterRig();
  rig.killsAt('before', 'chain.process');
  rig.killsAt('after', 'chain.process');
  rig.killsAt('before', 'jobs.move', 1);
  await expectOutcome(rig, { ...done, starts: 4 });
});
