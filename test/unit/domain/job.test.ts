/** What follows from the two transition tables. */
import { activeStates, canMove, chainNext, chainStates, isActive, isTerminal, jobNext } from '../../../src/domain/job';

type JobState = keyof typeof jobNext;
const jobStates = Object.keys(jobNext) as JobState[];

/** Every state that can be reached from one, in any number of moves. */
function reachable<S extends string>(next: Record<S, readonly S[]>, from: S): Set<S> {
  const seen = new Set<S>([from]);
  for (const state of seen) for (const to of next[state]) seen.add(to);
  return seen;
}

test('chain states: each is reached from NONE', () => {
  expect([...reachable(chainNext, 'NONE')].sort()).toEqual([...chainStates].sort());
});

test('isTerminal: the six states a job never leaves', () => {
  const terminal = chainStates.filter(isTerminal);
  expect(terminal).toEqual(['VERIFIED', 'CANCELED', 'TIMEOUT', 'FAILED', 'DECLINED', 'UNVERIFIED']);
});

test('chain states: from each one some end is reached', () => {
  for (const state of chainStates) expect([...reachable(chainNext, state)].some(isTerminal)).toBe(true);
});

test('job states: each is reached from queued', () => {
  expect([...reachable(jobNext, 'queued')].sort()).toEqual([...jobStates].sort());
});

test('activeStates: the states between claim and end, in the order of the table', () => {
  expect(activeStates).toEqual([
    'claimed',
    'preparing',
    'training',
    'exporting',
    'submitting',
    'submitted',
    'declining',
  ]);
});

test('active job: it was claimed, and the chain may end it at any time', () => {
  const entries: Partial<Record<JobState, JobState[]>> = {
    claimed: ['queued', 'skipped', 'failed'],
    declining: ['declined'],
  };
  for (const state of jobStates.filter(isActive)) {
    expect([state, canMove(state, 'failed')]).toEqual([state, true]);
    const before = jobStates.filter((from) => canMove(from, state));
    expect(before.filter((from) => !isActive(from))).toEqual(entries[state] ?? []);
  }
});

test.each([
  ['queued', 'claimed', true],
  ['queued', 'training', false],
  ['submitted', 'declining', false],
  ['failed', 'queued', true],
  ['verified', 'queued', false],
] as const)('canMove from %s to %s: %s', (from, to, allowed) => {
  expect(canMove(from, to)).toBe(allowed);
});
