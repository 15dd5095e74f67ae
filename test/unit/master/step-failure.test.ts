/** What becomes of a job when a step fails: the whole decision as a table. */
import { type ActiveState, activeStates } from '../../../src/domain/job';
import { AppError } from '../../../src/lib/errors';
import { decideFailure, endedOnChain } from '../../../src/master/step-failure';

const errorOf = (code: string) => new AppError({ code }, 'as the test wishes');
/** The states in which a job that cannot be finished is left, and how. */
const exits: Partial<Record<ActiveState, string>> = {
  claimed: 'skipped',
  preparing: 'skipped',
  training: 'declining',
  exporting: 'declining',
};

test.each(activeStates)('%s, the chain ended the job: failed', (state) => {
  expect(decideFailure(state, endedOnChain('CANCELED'), 1)).toEqual({ kind: 'end', to: 'failed' });
});

test.each(activeStates)('%s, network trouble: tried again', (state) => {
  expect(decideFailure(state, errorOf('chain/unreachable'), 1)).toEqual({ kind: 'retry' });
  expect(decideFailure(state, new TypeError('a bug'), 4)).toEqual({ kind: 'retry' });
});

test.each(['data/not-text', 'dataset/not-found', 'params/invalid', 'job/deadline-near'])(
  '%s: the job is left where it can be, never retried there',
  (code) => {
    for (const state of activeStates) {
      const to = exits[state];
      expect([state, decideFailure(state, errorOf(code), 1)]).toEqual([
        state,
        to ? { kind: 'leave', to } : { kind: 'retry' },
      ]);
    }
  },
);

test.each(activeStates)('%s, fifth attempt failed: left, unless pay or deposit are at stake', (state) => {
  const to = exits[state];
  expect(decideFailure(state, errorOf('runner/child-crashed'), 5)).toEqual(
    to ? { kind: 'leave', to } : { kind: 'retry' },
  );
});
