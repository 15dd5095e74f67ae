/** What a job knows of one of its workers: how fast it was seen to be, and what became of its leases. */

export interface Standing {
  /** Leases that this master accepted of the worker in its life. */
  accepted: number;
  /** One of them was done again by somebody else, and came out the same. */
  isAudited: boolean;
  /** By the master's clock, in this job or an earlier one; undefined while it has only announced a speed. */
  blocksPerSecond: number | undefined;
  /** False until this job itself has measured the speed. */
  isMeasuredHere: boolean;
  /** The most blocks of its next lease: a probe at first, doubled with each accepted lease. */
  limit: number;
  /** What became of its last eight leases, oldest first. */
  outcomes: readonly LeaseOutcome[];
}

export type LeaseOutcome = 'accepted' | 'lost';

/** Accepted leases after which, once audited, a worker's measured speed alone decides about its share. */
const PROVEN_LEASES = 3;
/** A probe takes so long at the part of the announced speed that is taken for granted. */
const PROBE_SECONDS = 5;
const GRANTED_EFFICIENCY = 1 / 8;
/** Lost leases, in a row or among the last eight, after which a worker leaves the job. */
const MAX_LOST = 3;
const REMEMBERED_LEASES = 8;

/** The floating-point operations of a block: 6 per parameter and token (Kaplan et al., 2001.08361). */
export function blockFlops(model: { parameters: number; blockTokens: number }): number {
  return 6 * model.parameters * model.blockTokens;
}

/** Converts an announced speed in GFLOP/s into the blocks per second that are taken for granted of it. */
export function announcedSpeed(gflops: number, flops: number): number {
  return (gflops * 1e9 * GRANTED_EFFICIENCY) / flops;
}

/**
 * Returns the blocks of a first lease. Not less than a quarter of an average part, or the ramp would cost an
 * honest fleet more than two small rounds.
 */
export function probeBlocks(announced: number, steps: number): number {
  return Math.max(Math.ceil(steps / 4), Math.floor(announced * PROBE_SECONDS));
}

/** Opens the standing of a worker whose speed this master remembers only if it was proven. */
export function openStanding(
  known: { accepted: number; isAudited: boolean; gflops: number | undefined },
  job: { flops: number; probe: number },
): Standing {
  const { accepted, isAudited, gflops } = known;
  const isKnown = accepted >= PROVEN_LEASES && gflops !== undefined;
  return {
    accepted,
    isAudited,
    blocksPerSecond: isKnown ? (gflops * 1e9) / job.flops : undefined,
    isMeasuredHere: false,
    limit: isKnown ? Number.POSITIVE_INFINITY : job.probe,
    outcomes: [],
  };
}

/** True for a worker of which the first leases say little yet. */
export function isNew({ accepted }: Pick<Standing, 'accepted'>): boolean {
  return accepted < PROVEN_LEASES;
}

/** True once the measured speed alone decides about a worker's share of a round. */
export function isProven({ accepted, isAudited }: Pick<Standing, 'accepted' | 'isAudited'>): boolean {
  return accepted >= PROVEN_LEASES && isAudited;
}

/** Returns the standing after an accepted lease; `seconds` are undefined when they could not be measured. */
export function afterAccepted(before: Standing, lease: { blocks: number; seconds: number | undefined }): Standing {
  const { blocks, seconds } = lease;
  const earlier = before.isMeasuredHere ? before.blocksPerSecond : undefined;
  const measured = seconds === undefined ? undefined : smoothSpeed(earlier, blocks / seconds);
  return {
    ...before,
    accepted: before.accepted + 1,
    blocksPerSecond: measured ?? before.blocksPerSecond,
    isMeasuredHere: before.isMeasuredHere || measured !== undefined,
    limit: Math.max(before.limit, 2 * blocks),
    outcomes: remember(before, 'accepted'),
  };
}

/** Returns the standing after a lost lease: the next one is a probe again. */
export function afterLost(before: Standing, probe: number): Standing {
  return { ...before, limit: probe, outcomes: remember(before, 'lost') };
}

/** True when a worker lost three leases in a row, or three of its last eight. */
export function isUnreliable({ outcomes }: Pick<Standing, 'outcomes'>): boolean {
  return outcomes.filter((outcome) => outcome === 'lost').length >= MAX_LOST;
}

/** Averages exponentially, so that a change of speed shows within about three rounds. */
export function smoothSpeed(before: number | undefined, measured: number): number {
  return before === undefined ? measured : 0.5 * before + 0.5 * measured;
}

function remember({ outcomes }: Standing, outcome: LeaseOutcome): LeaseOutcome[] {
  return [...outcomes, outcome].slice(-REMEMBERED_LEASES);
}
