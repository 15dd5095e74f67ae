/** When a round closes, as timelines. */
import { decideRound, hasQuorum, type LeaseView, type RoundView } from '../../../src/domain/round';

const rules = { graceMs: 500, resumeMs: 2000 };
const lease = (state: LeaseView['state'], blocks = 10, awaySinceMs?: number): LeaseView => ({
  state,
  blocks,
  awaySinceMs,
});
const round = (leases: LeaseView[], more: Partial<RoundView> = {}): RoundView => ({
  leases,
  deadlineMs: 60_000,
  ...more,
});

describe('decideRound', () => {
  // A timeline a row: leases, when the quorum was reached, now, and what must be decided.
  const rows: [string, string, RoundView, number, ReturnType<typeof decideRound>][] = [
    ['all ready', 'closes', round([lease('ready'), lease('ready')]), 5, { kind: 'close', scale: 1 }],
    [
      'one runs, no quorum',
      'waits for the deadline',
      round([lease('ready'), lease('running')]),
      5,
      { kind: 'wait', untilMs: 60_000 },
    ],
    [
      'quorum, in the grace period',
      'waits for its end',
      round([lease('ready', 20), lease('running', 10)], { quorumAtMs: 100 }),
      599,
      { kind: 'wait', untilMs: 600 },
    ],
    [
      'quorum, grace over',
      'closes, with a smaller step as a third is missing',
      round([lease('ready', 20), lease('running', 10)], { quorumAtMs: 100 }),
      600,
      { kind: 'close', scale: 2 / 3 },
    ],
    [
      'a quarter missing',
      'closes with a full step',
      round([lease('ready', 30), lease('lost', 10)]),
      5,
      { kind: 'close', scale: 1 },
    ],
    [
      'an update is on its way at the deadline',
      'it gets graceMs',
      round([lease('ready'), { ...lease('running'), isArriving: true }]),
      60_000,
      { kind: 'wait', untilMs: 60_500 },
    ],
    ['half lost', 'closes with half a step', round([lease('ready'), lease('lost')]), 5, { kind: 'close', scale: 0.5 }],
    [
      'only a disconnected worker is missing',
      'it gets resumeMs',
      round([lease('ready'), lease('running', 10, 1000)]),
      2999,
      { kind: 'wait', untilMs: 3000 },
    ],
    [
      'disconnected worker after resumeMs',
      'closes without it',
      round([lease('ready'), lease('running', 10, 1000)]),
      3000,
      { kind: 'close', scale: 0.5 },
    ],
    [
      'one disconnected, another still runs',
      'waits for both',
      round([lease('running'), lease('running', 10, 1000)]),
      50_000,
      { kind: 'wait', untilMs: 60_000 },
    ],
    [
      'deadline, something ready',
      'closes',
      round([lease('ready'), lease('running')]),
      60_000,
      { kind: 'close', scale: 0.5 },
    ],
    ['deadline, nothing ready', 'abandoned', round([lease('running')]), 60_000, { kind: 'abandon' }],
    ['all lost', 'abandoned', round([lease('lost'), lease('lost')]), 5, { kind: 'abandon' }],
  ];
  test.each(rows)('%s: %s', (_situation, _outcome, view, nowMs, decision) => {
    expect(decideRound(view, rules, nowMs)).toEqual(decision);
  });
});

test('hasQuorum, many small leases: blocks count, not workers', () => {
  expect(hasQuorum([lease('ready', 1), lease('ready', 1), lease('running', 10)])).toBe(false);
  expect(hasQuorum([lease('ready', 20), lease('running', 10)])).toBe(true);
});
