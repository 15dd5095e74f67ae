/** A master that is stopped, or killed again and again, does every step once all the same. */
import { PAID, playTimelines, type Timeline, TO_VERIFIED } from '../../support/master-rig-books';

const done = { history: TO_VERIFIED, mined: PAID };

describe('stopped', () => {
  const points = [
    ['claimed', 'storage.fetch', 0],
    ['preparing', 'chain.process', 0],
    ['training', 'ledger.commit', 0],
    ['training', 'child.fold', 0],
    ['exporting', 'storage.publish', 0],
    ['submitting', 'chain.submit', 0],
    ['submitted', 'chain.job', 3],
    ['submitted', 'chain.payWorkers', 0],
  ] as const;
  playTimelines(
    points.map(
      ([state, call, after]): Timeline => ({
        situation: `stopped in ${state} at ${call}`,
        outcome: 'taken up where it was',
        given: (rig) => rig.stopsAt(call, after),
        ...done,
        starts: 2,
      }),
    ),
  );
});

describe('killed again and again', () => {
  playTimelines(
    [53, 59, 67, 89].map(
      (calls): Timeline => ({
        situation: `killed at every ${calls}th call of a port`,
        outcome: 'every block merged once, paid once',
        options: { workers: 2, blocks: 24 },
        given: (rig) => rig.killsEvery(calls),
        ...done,
        starts: expect.any(Number),
        check: (rig) => expect(rig.starts).toBeGreaterThan(2),
      }),
    ),
  );
});
