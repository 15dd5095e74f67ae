/** What becomes of a job when a step fails: the whole decision as a table. */
import { type ActiveState, activeStates } from '../../../src/domain/job';
import { AppError } from '../../../src/lib/errors';
import { decideFailure, endedOnChain } from '../../../src/master/step-failure';

const errorOf = (code: string) => new AppError({ code }, 'as the test wishes');
const wait = { kind: 'wait' };
const decide = (state: ActiveState, code: string, attempts = 1) => decideFailure(state, errorOf(code), attempts);
/** The states in which a job may be left; from the others on there is a result, or a deposit to get back. */
const leaving: readonly ActiveState[] = ['claimed', 'preparing', 'training', 'exporting'];

test.each(activeStates)('%s, the chain ended the job: over', (state) => {
  expect(decideFailure(state, endedOnChain('CANCELED'), 1)).toEqual({ kind: 'end' });
});

test.each(activeStates)('%s, trouble of this node: waited out, however long it lasts', (state) => {
  for (const code of ['chain/unreachable', 'SQLITE_FULL', 'ECONNREFUSED', 'ENOSPC', 'blobs/disk-full']) {
    expect([code, decide(state, code, 1000)]).toEqual([code, wait]);
  }
});

test.each([
  'data/not-text',
  'data/bad-record',
  'data/bad-tokenizer',
  'base/pickled',
  'base/too-large',
  'base/bad-config',
  'base/bad-weights',
  'params/invalid',
  'dataset/empty',
])('%s: left for its requester before the job is taken, waits once it is', (code) => {
  for (const state of activeStates) {
    const isFree = state === 'claimed' || state === 'preparing';
    const expected = isFree ? { kind: 'leave', for: 'requester' } : wait;
    expect([state, decide(state, code)]).toEqual([state, expected]);
  }
});

test.each([
  ['model/not-finite', 'requester'],
  ['job/diverged', 'requester'],
  ['job/no-gain', 'requester'],
  ['job/deadline-near', 'node'],
  ['job/no-worker', 'node'],
  ['job/out-of-reach', 'node'],
])('%s: the job is left for its %s, where it can be', (code, whom) => {
  for (const state of activeStates) {
    const expected = leaving.includes(state) ? { kind: 'leave', for: whom } : wait;
    expect([state, decide(state, code)]).toEqual([state, expected]);
  }
});

test.each([
  'dataset/missing',
  'base/missing',
  'base/hub-away',
  'base/other-bytes',
  'https/failed',
  'blobs/storage-unreachable',
])('%s: makes room for others before the job is taken, waits once it is', (code) => {
  for (const state of activeStates) {
    const expected = state === 'claimed' || state === 'preparing' ? { kind: 'leave', for: 'node' } : wait;
    expect([state, decide(state, code)]).toEqual([state, expected]);
  }
});

test.each([
  ['runner/child-crashed', 5],
  ['unknown', 5],
  ['disk/low', 5],
  ['chain/reverted', 2],
  ['chain/no-funds', 2],
] as const)('%s %i times in a row: makes room only while nothing is at stake', (code, times) => {
  for (const state of activeStates) {
    const expected = state === 'claimed' || state === 'preparing' ? { kind: 'leave', for: 'node' } : wait;
    expect([state, decide(state, code, times - 1), decide(state, code, times)]).toEqual([state, wait, expected]);
  }
});
