/** A round in thousands of orders of commits, losses, cuts and time: it ends in time, with what is ready. */
import fc from 'fast-check';
import { decideRound, type RoundDecision } from '../../../src/domain/round';
import { type LiveLease, markAway, RoundState } from '../../../src/master/round-state';
import { playOrders } from '../../support/orders';
import { commit, masterAddress } from '../../support/worker-messages';

const RULES = { graceMs: 10, resumeMs: 5 };
const DEADLINE_MS = 100;
const LEASES = 4;

/** What may happen to a lease that is neither ready nor lost. */
const acts = {
  commit: (lease: LiveLease) => Object.assign(lease, { state: 'collecting' }),
  accept: (lease: LiveLease, round: RoundState, nowMs: number) => round.markReady(lease, commit(lease.leaseId), nowMs),
  lose: (lease: LiveLease) => Object.assign(lease, { state: 'lost' }),
  cut: (lease: LiveLease, _round: RoundState, nowMs: number) => markAway(lease, nowMs),
  return: (lease: LiveLease) => Object.assign(lease, { awaySinceMs: undefined }),
};

const step = fc.record({
  act: fc.constantFrom(...(Object.keys(acts) as (keyof typeof acts)[])),
  at: fc.nat(LEASES - 1),
  /** Time that passes before it. */
  ms: fc.nat(12),
});

function openRound(): RoundState {
  const round = new RoundState(0, commit('a').update.sha256, DEADLINE_MS);
  for (let i = 0; i < LEASES; i++) {
    const range = { start: 10 * i, end: 10 * (i + 1) };
    round.add({ leaseId: `${i}`, worker: masterAddress, ...range, grantedAtMs: 0, state: 'running' });
  }
  return round;
}

/** Waits as long as the round says, which must be a time to come, and no later than its last. */
function waitOut(round: RoundState, fromMs: number): RoundDecision {
  let decision = decideRound(round.view(), RULES, fromMs);
  for (let nowMs = fromMs; decision.kind === 'wait'; decision = decideRound(round.view(), RULES, nowMs)) {
    if (decision.untilMs <= nowMs) throw new Error(`At ${nowMs} it waits until ${decision.untilMs}`);
    nowMs = decision.untilMs;
    if (nowMs > DEADLINE_MS + RULES.graceMs) throw new Error(`It waits until ${nowMs}`);
  }
  return decision;
}

test('steps in any order: the round ends in time, with all that is ready', () =>
  playOrders(step, 30, (steps) => {
    const round = openRound();
    let nowMs = 0;
    for (const { act, at, ms } of steps) {
      nowMs += ms;
      if (decideRound(round.view(), RULES, nowMs).kind !== 'wait') break;
      const lease = round.leases.get(`${at}`);
      if (lease && round.unsettled().includes(lease)) acts[act](lease, round, nowMs);
    }
    const part = round.ready().length / LEASES;
    const scale = part >= 0.75 ? 1 : part;
    expect(waitOut(round, nowMs)).toEqual(part === 0 ? { kind: 'abandon' } : { kind: 'close', scale });
  }));
