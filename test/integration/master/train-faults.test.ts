/** Training when the Python child, the store, the chain or the master itself fails during a round. */

import { PAID, playTimelines, type Timeline, TO_TRAINING, TO_VERIFIED } from '../../support/master-rig-books';
import { stranger } from '../../support/master-rig-chain';

const done = { history: TO_VERIFIED, mined: PAID };
const failed = { history: `${TO_TRAINING} failed`, mined: 'process' };

describe('child', () => {
  playTimelines([
    ...['cut', 'inspect', 'fold'].flatMap((command): Timeline[] => [
      {
        situation: `child dies of ${command}`,
        outcome: 'another does it',
        given: (rig) => rig.childDies(command),
        ...done,
        check: (rig) => expect([rig.children.length, rig.worker.heardOf('lease.grant').length]).toEqual([2, 2]),
      },
      {
        situation: `child dies of ${command} twice`,
        outcome: 'the round goes on after a pause',
        given: (rig) => rig.childDies(command, { times: 2 }),
        ...done,
        // The child's failure is not the worker's fault.
        check: (rig) => expect(rig.log.filter((line) => line.includes('strikes'))).toEqual([]),
      },
    ]),
    {
      situation: '40 children die of fold',
      outcome: 'folded when it can be, nothing trained twice',
      given: (rig) => rig.childDies('fold', { times: 40 }),
      ...done,
      check: (rig) => expect(rig.worker.heardOf('lease.grant')).toHaveLength(2),
    },
    {
      situation: '40 children die of cut',
      outcome: 'cut when it can be',
      given: (rig) => rig.childDies('cut', { times: 40 }),
      ...done,
    },
    {
      situation: 'child dies of the look after a round',
      outcome: 'trained on without it',
      given: (rig) => rig.childDies('evaluate', { after: 1, times: 2 }),
      ...done,
    },
  ]);
});

describe('store', () => {
  const calls = ['rounds.open', 'ledger.grant', 'ledger.setShard', 'ledger.commit', 'rounds.fold', 'blobs.add'];
  playTimelines(
    calls.flatMap((call) =>
      [1, 40].map(
        (times): Timeline => ({
          situation: `${call} fails ${times === 1 ? 'once' : `${times} times`}`,
          outcome: 'the round goes on',
          given: (rig) => rig.fails(call, { after: call === 'blobs.add' ? 1 : 0, times }),
          ...done,
        }),
      ),
    ),
  );
});

describe('chain says otherwise', () => {
  playTimelines([
    {
      situation: 'timed out in mid-round',
      outcome: 'failed, and the worker is told',
      given: (rig) => rig.before('ledger.commit', () => rig.chain.end(rig.jobId, 'TIMEOUT')),
      ...failed,
      reason: 'TIMEOUT',
    },
    {
      situation: 'given back by the operator in mid-round',
      outcome: 'failed, and the worker is told',
      given: (rig) => rig.before('ledger.commit', () => rig.chain.giveBack(rig.jobId)),
      ...failed,
      reason: 'REQUESTED',
    },
    {
      situation: 'given back and taken by another in mid-round',
      outcome: 'failed, and the worker is told',
      given: (rig) =>
        rig.before('ledger.commit', () => {
          rig.chain.giveBack(rig.jobId);
          rig.chain.takenBy(rig.jobId, stranger);
        }),
      ...failed,
      reason: 'PROCESSING',
    },
    {
      situation: 'given back in mid-round while the chain cannot be read',
      outcome: 'failed when it can',
      given: (rig) => {
        rig.worker.trainMs = 30_000;
        rig.before('child.cut', () => rig.chain.giveBack(rig.jobId));
        rig.fails('chain.job', { after: 1, times: 3 });
      },
      ...failed,
      reason: 'REQUESTED',
    },
  ]);
});

describe('killed', () => {
  const points = [
    'rounds.open',
    'ledger.grant',
    'child.cut',
    'ledger.setShard',
    'child.inspect',
    'ledger.commit',
    'child.fold',
    'rounds.fold',
  ];
  playTimelines([
    ...points.flatMap((point) =>
      (['before', 'after'] as const).map(
        (moment): Timeline => ({
          situation: `killed ${moment} ${point}`,
          outcome: 'every block merged once',
          given: (rig) => rig.killsAt(moment, point),
          ...done,
          starts: 2,
        }),
      ),
    ),
    ...(['before', 'after'] as const).map(
      (moment): Timeline => ({
        situation: `killed ${moment} the second fold is stored`,
        outcome: 'every block merged once',
        options: { workers: 2, blocks: 32 },
        given: (rig) => rig.killsAt(moment, 'rounds.fold', 1),
        ...done,
        starts: 2,
      }),
    ),
    {
      situation: 'killed in mid-lease',
      outcome: 'the worker goes on with its lease',
      async act(rig) {
        await rig.until('the worker holds a lease', () => rig.worker.holdsLease);
        rig.kill();
      },
      ...done,
      starts: 2,
      check: (rig) => expect(rig.worker.heardOf('lease.grant')).toHaveLength(2),
    },
    {
      situation: 'killed in mid-lease, and the worker never returns',
      outcome: 'the other does the rest',
      options: { workers: 2 },
      async act(rig) {
        await rig.until('the worker holds a lease', () => rig.worker.holdsLease);
        rig.kill();
        rig.worker.leave();
      },
      ...done,
      starts: 2,
    },
    {
      situation: 'killed in mid-round, timed out while down',
      outcome: 'failed',
      given: (rig) => {
        rig.killsAt('before', 'ledger.commit');
        rig.before('chain.job', () => rig.chain.end(rig.jobId, 'TIMEOUT'), 1);
      },
      ...failed,
      starts: 2,
      reason: 'TIMEOUT',
    },
    {
      situation: 'killed once the return of the job is stored',
      outcome: 'failed without training on',
      given: (rig) => {
        rig.before('child.cut', () => rig.chain.giveBack(rig.jobId));
        // The first news were of the request, the second of the taking.
        rig.killsAt('after', 'store.transaction', 2);
      },
      ...failed,
      starts: 2,
      reason: 'REQUESTED',
    },
  ]);
});
