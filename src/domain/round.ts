/** When a round closes: a pure rule over weights and times. */
/** One lease of an open round, as the closing rule sees it. */
export interface LeaseView {
  blocks: number;
  /** `running`: leased and not settled; `ready`: its update passed the gate; `lost`: released. */
  state: 'running' | 'ready' | 'lost';
  /** Its update is on its way through the gate, which must not cost the worker its lease. */
  isArriving?: boolean | undefined;
  /** Since when the worker has been disconnected. */
  awaySinceMs?: number | undefined;
}

export interface RoundView {
  leases: readonly LeaseView[];
  /** When the ready leases first held two thirds of the leased blocks; undefined before. */
  quorumAtMs?: number | undefined;
  /** Twice the time the slowest lease should take: the round closes then. */
  deadlineMs: number;
}

export interface RoundRules {
  /** How long the round waits for the rest once two thirds of its weight are in. */
  graceMs: number;
  /** How long a disconnected worker may take to reconnect once all others have finished. */
  resumeMs: number;
}

export type RoundDecision =
  /** Decide again at `untilMs`, or when something happens. */
  | { kind: 'wait'; untilMs: number }
  /** Fold what is ready; whatever still runs is left out of this round. */
  | { kind: 'close'; scale: number }
  /** Nothing is ready and no lease is running: lease everything again. */
  | { kind: 'abandon' };

const QUORUM = 2 / 3;

/**
 * Decides whether a round ends now. It closes on weight (blocks), never on a count of workers: at once when
 * every lease is settled, after `graceMs` when two thirds are in, at the deadline in any case, or `graceMs`
 * later while an update is on its way. A disconnected worker does not hold the others up for longer than
 * `resumeMs` once they are done.
 */
export function decideRound(round: RoundView, rules: RoundRules, nowMs: number): RoundDecision {
  const running = round.leases.filter((lease) => lease.state === 'running');
  if (running.length === 0) return settle(round);

  const isArriving = running.some((lease) => lease.isArriving);
  const limits = [round.deadlineMs + (isArriving ? rules.graceMs : 0)];
  if (round.quorumAtMs !== undefined) limits.push(round.quorumAtMs + rules.graceMs);
  if (running.every((lease) => lease.awaySinceMs !== undefined)) {
    limits.push(Math.max(...running.map((lease) => (lease.awaySinceMs ?? 0) + rules.resumeMs)));
  }
  const untilMs = Math.min(...limits);
  return nowMs >= untilMs ? settle(round) : { kind: 'wait', untilMs };
}

/** True when the ready leases hold at least two thirds of what was leased. */
export function hasQuorum(leases: readonly LeaseView[]): boolean {
  return readyPart(leases) >= QUORUM;
}

function settle(round: RoundView): RoundDecision {
  const part = readyPart(round.leases);
  if (part === 0) return { kind: 'abandon' };
  // Up to a quarter of the weight may be missing before the outer step is scaled down.
  return { kind: 'close', scale: part >= 0.75 ? 1 : part };
}

function readyPart(leases: readonly LeaseView[]): number {
  const blocks = (states: readonly LeaseView[]) => states.reduce((sum, lease) => sum + lease.blocks, 0);
  return blocks(leases.filter((lease) => lease.state === 'ready')) / Math.max(1, blocks(leases));
}
