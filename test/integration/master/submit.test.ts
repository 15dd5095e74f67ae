/** From the finished result to its commitment on chain: tried until it is mined, and mined once. */

import { PAID, playTimelines, type Timeline, TO_TRAINING, TO_VERIFIED } from '../../support/master-rig-books';
import { stranger } from '../../support/master-rig-chain';

const done = { history: TO_VERIFIED, mined: PAID };
const failed = { history: `${TO_TRAINING} exporting submitting failed`, mined: 'process' };
/** Where `chain.job` is called for the second time: by the submission; the first was by the taking. */
const SECOND = { after: 1 };

/** What an endpoint that lags behind the chain says of a job that this node has taken. */
const OUTDATED = { state: 'REQUESTED', deadlineMs: 1e12 };

describe('fails once', () => {
  playTimelines([
    {
      situation: 'submit fails once',
      outcome: 'submitted when tried again',
      given: (rig) => rig.fails('chain.submit'),
      ...done,
      check: (rig) => expect(rig.faults.count('chain.submit')).toBe(2),
    },
    {
      situation: 'answer of submit is lost',
      outcome: 'submitted once',
      given: (rig) => rig.losesAnswer('chain.submit'),
      ...done,
      check: (rig) => expect(rig.faults.count('chain.submit')).toBe(1),
    },
    {
      situation: 'reading the chain fails once before submit',
      outcome: 'submitted when tried again',
      given: (rig) => rig.fails('chain.job', SECOND),
      ...done,
    },
    {
      situation: 'one answer about the job is from before it was taken',
      outcome: 'submitted once',
      given: (rig) => rig.faults.plan('chain.job', async () => OUTDATED, SECOND),
      ...done,
      check: (rig) => expect(rig.faults.count('chain.submit')).toBe(1),
    },
    {
      situation: 'storing that it is submitted fails 40 times',
      outcome: 'submitted once',
      given: (rig) => rig.fails('jobs.move', { after: 4, times: 40 }),
      ...done,
      check: (rig) => expect(rig.faults.count('chain.submit')).toBe(1),
    },
  ]);
});

describe('fails for long', () => {
  playTimelines([
    {
      situation: 'submit fails 40 times',
      outcome: 'never given up, submitted when it can be',
      given: (rig) => rig.fails('chain.submit', { times: 40 }),
      ...done,
    },
    {
      situation: 'reading the chain fails 40 times before submit',
      outcome: 'submitted when it can be',
      given: (rig) => rig.fails('chain.job', { ...SECOND, times: 40 }),
      ...done,
    },
    {
      situation: 'submit fails until the deadline, and somebody calls timeout',
      outcome: 'failed',
      options: { deadlineMs: 300_000 },
      given: (rig) => rig.fails('chain.submit', { times: 1000 }),
      act: async (rig) => {
        await rig.pass(330_000);
        rig.chain.end(rig.jobId, 'TIMEOUT');
      },
      ...failed,
      reason: 'TIMEOUT',
    },
  ]);
});

describe('chain says otherwise', () => {
  const cases = [
    { hears: true, so: 'and the master hears it' },
    { hears: false, so: 'and the master hears nothing' },
  ];
  playTimelines(
    cases.flatMap(({ hears, so }) => [
      {
        situation: `timed out before submit, ${so}`,
        outcome: 'failed',
        given: (rig) => {
          rig.before('chain.submit', () => {
            rig.isDeaf = !hears;
            rig.chain.end(rig.jobId, 'TIMEOUT');
          });
        },
        ...failed,
        reason: 'TIMEOUT',
      },
      {
        situation: `given back by hand before submit, ${so}`,
        outcome: 'failed',
        given: (rig) => {
          rig.before('chain.submit', () => {
            rig.isDeaf = !hears;
            rig.chain.giveBack(rig.jobId);
          });
        },
        ...failed,
        reason: 'REQUESTED',
      },
      {
        situation: `given back and taken by another, ${so}`,
        outcome: 'failed',
        given: (rig) => {
          rig.before('chain.submit', () => {
            rig.isDeaf = !hears;
            rig.chain.giveBack(rig.jobId);
            rig.chain.takenBy(rig.jobId, stranger);
          });
        },
        ...failed,
        reason: 'PROCESSING',
      },
    ]),
  );
});

describe('killed', () => {
  const points = [
    ['chain.submit', 0],
    ['jobs.move', 4],
  ] as const;
  playTimelines([
    ...points.flatMap(([point, after]) =>
      (['before', 'after'] as const).map(
        (moment): Timeline => ({
          situation: `killed ${moment} ${point}`,
          outcome: 'submitted once and paid once',
          given: (rig) => rig.killsAt(moment, point, after),
          ...done,
          starts: 2,
        }),
      ),
    ),
    {
      situation: 'killed after submit, judged while down',
      outcome: 'paid once',
      given: (rig) => {
        rig.killsAt('after', 'chain.submit');
        rig.before('chain.job', () => rig.chain.end(rig.jobId, 'VERIFIED'), 2);
      },
      ...done,
      starts: 2,
    },
    {
      situation: 'killed before submit, given back and taken while down',
      outcome: 'failed',
      given: (rig) => {
        rig.killsAt('before', 'chain.submit');
        rig.before(
          'chain.job',
          () => {
            rig.chain.giveBack(rig.jobId);
            rig.chain.takenBy(rig.jobId, stranger);
          },
          2,
        );
      },
      ...failed,
      starts: 2,
      reason: 'PROCESSING',
    },
  ]);
});
