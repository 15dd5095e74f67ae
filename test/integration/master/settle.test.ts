/** From the submitted result to pay: every verdict, no verdict, and money that moves exactly once. */
import { PAID, playTimelines, type Timeline, TO_SUBMITTED, TO_VERIFIED } from '../../support/master-rig-books';
import type { Judgement } from '../../support/master-rig-chain';

const done = { history: TO_VERIFIED, mined: PAID };
const failed = { history: `${TO_SUBMITTED} failed` };
const judged = (judgement: Judgement) => (rig: Parameters<NonNullable<Timeline['given']>>[0]) => {
  rig.chain.judgement = judgement;
};
const finalized = { history: TO_VERIFIED, mined: 'process submit finalize payWorkers' };
const unwound = { ...failed, mined: 'process submit unwind', reason: 'UNVERIFIED' };

describe('verdicts', () => {
  playTimelines([
    { situation: 'verified', outcome: 'paid', given: judged('verified'), ...done },
    {
      situation: 'rejected',
      outcome: 'failed without pay',
      given: judged('rejected'),
      ...failed,
      mined: 'process submit',
      reason: 'FAILED',
    },
    {
      situation: 'rejected, and the master hears nothing',
      outcome: 'failed without pay',
      given: (rig) => {
        judged('rejected')(rig);
        rig.before('chain.submit', () => {
          rig.isDeaf = true;
        });
      },
      ...failed,
      mined: 'process submit',
      reason: 'FAILED',
    },
    { situation: 'no verdict in the window', outcome: 'finalized and paid', given: judged('none'), ...finalized },
    {
      situation: 'challenged, then verified',
      outcome: 'paid without finalize',
      given: judged('disputed, then verified'),
      ...done,
    },
    {
      situation: 'challenged, and nobody decides',
      outcome: 'unwound, then failed',
      given: judged('disputed, then none'),
      ...unwound,
    },
    {
      situation: 'job of less tokens than its fuel limit',
      outcome: 'paid for what was used',
      given: judged('verified'),
      ...done,
      check: (rig) => expect(rig.chain.payoutWei(rig.jobId)).toBe((10n ** 19n * 1024n) / 2000n),
    },
    {
      situation: 'job of more tokens than its fuel limit',
      outcome: 'paid its whole fee',
      options: { blocks: 40 },
      given: judged('verified'),
      ...done,
      check: (rig) => expect(rig.chain.payoutWei(rig.jobId)).toBe(10n ** 19n),
    },
  ]);
});

describe('fails once', () => {
  playTimelines([
    { situation: 'payWorkers fails once', outcome: 'paid', given: (rig) => rig.fails('chain.payWorkers'), ...done },
    {
      situation: 'answer of payWorkers is lost',
      outcome: 'paid once',
      given: (rig) => rig.losesAnswer('chain.payWorkers'),
      ...done,
      check: (rig) => expect(rig.faults.count('chain.payWorkers')).toBe(2),
    },
    {
      situation: 'finalize fails once',
      outcome: 'finalized when tried again',
      given: (rig) => {
        judged('none')(rig);
        rig.fails('chain.finalize');
      },
      ...finalized,
    },
    {
      situation: 'answer of finalize is lost',
      outcome: 'finalized once',
      given: (rig) => {
        judged('none')(rig);
        rig.losesAnswer('chain.finalize');
      },
      ...finalized,
      check: (rig) => expect(rig.faults.count('chain.finalize')).toBe(1),
    },
    {
      situation: 'answer of unwind is lost',
      outcome: 'unwound once',
      given: (rig) => {
        judged('disputed, then none')(rig);
        rig.losesAnswer('chain.unwind');
      },
      ...unwound,
    },
    {
      situation: 'storing that it is paid fails 40 times',
      outcome: 'paid once',
      given: (rig) => rig.fails('jobs.move', { after: 5, times: 40 }),
      ...done,
    },
  ]);
});

describe('fails for long', () => {
  playTimelines([
    {
      situation: 'payWorkers fails 40 times',
      outcome: 'never given up, paid when it can be',
      given: (rig) => rig.fails('chain.payWorkers', { times: 40 }),
      ...done,
    },
    {
      situation: 'reading the chain fails 40 times after submit',
      outcome: 'paid when it can be',
      given: (rig) => rig.fails('chain.job', { after: 2, times: 40 }),
      ...done,
    },
    {
      situation: 'finalize fails 40 times',
      outcome: 'finalized when it can be',
      given: (rig) => {
        judged('none')(rig);
        rig.fails('chain.finalize', { times: 40 });
      },
      ...finalized,
    },
    {
      situation: 'unwind fails 40 times',
      outcome: 'unwound when it can be',
      given: (rig) => {
        judged('disputed, then none')(rig);
        rig.fails('chain.unwind', { times: 40 });
      },
      ...unwound,
    },
    {
      situation: 'finalize fails until somebody else has called it',
      outcome: 'paid',
      given: (rig) => {
        judged('none')(rig);
        rig.fails('chain.finalize', { times: 1000 });
        rig.before('chain.job', () => rig.chain.end(rig.jobId, 'VERIFIED'), 40);
      },
      ...done,
    },
  ]);
});

describe('killed', () => {
  const points = [
    ['chain.job', 3, 'verified', done],
    ['chain.payWorkers', 0, 'verified', done],
    ['jobs.move', 5, 'verified', done],
    ['chain.finalize', 0, 'none', finalized],
    ['chain.unwind', 0, 'disputed, then none', unwound],
  ] as const;
  playTimelines(
    points.flatMap(([point, after, judgement, expected]) =>
      (['before', 'after'] as const).map((moment) => ({
        situation: `killed ${moment} ${point}`,
        outcome: 'settled once',
        given: (rig) => {
          judged(judgement)(rig);
          rig.killsAt(moment, point, after);
        },
        ...expected,
        starts: 2,
      })),
    ),
  );

  playTimelines([
    {
      situation: 'killed while it waits, rejected while down',
      outcome: 'failed without pay',
      given: (rig) => {
        judged('none')(rig);
        rig.killsAt('before', 'chain.job', 4);
        rig.before('chain.job', () => rig.chain.end(rig.jobId, 'FAILED'));
      },
      ...failed,
      mined: 'process submit',
      starts: 2,
      reason: 'FAILED',
    },
  ]);
});
