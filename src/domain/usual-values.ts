/** Rates and rounds of a job whose requester leaves them open; docs/decisions has the reasons. */

/** What the choice depends on. */
export interface WorkFacts {
  tune: 'none' | 'full' | 'lora';
  optimiser: 'adamw' | 'muon';
  /** Inner steps of the whole job, of all workers together. */
  blocks: number;
  /** Workers that are there for it; more than `MOST_WORKERS` count as so many. */
  workers: number;
}

/** So that a verifier, which cannot know how many there were, finds what their number can come to. */
const MOST_WORKERS = 256;

/** Every value that a request may leave open. */
export interface UsualValues {
  round: { steps: number };
  inner: { lr: number; muonLr: number };
  outer: { lr: number; momentum: number };
}

/** What a request names of them. */
export type NamedValues = { [G in keyof UsualValues]: { [V in keyof UsualValues[G]]?: UsualValues[G][V] | undefined } };

interface InnerRates {
  lr: number;
  muonLr: number;
}

/** Peaks of the inner rates, by kind of job and optimiser; an adapter is not trained by Muon. */
export const innerRates: Readonly<Record<WorkFacts['tune'], { adamw: InnerRates; muon?: InnerRates }>> = {
  none: { adamw: { lr: 2e-3, muonLr: 0.02 }, muon: { lr: 3e-3, muonLr: 0.02 } },
  full: { adamw: { lr: 5e-5, muonLr: 5e-4 }, muon: { lr: 5e-5, muonLr: 5e-4 } },
  lora: { adamw: { lr: 2e-4, muonLr: 2e-3 } },
};

/** The outer step of every job. */
export const outerRates = { lr: 1, momentum: 0.5 } as const;

/** A row counts up to its bound, included, and the first that does is taken; the last has no bound. */
interface Row {
  upTo: number;
  steps: number;
}
const FIFTY: Row = { upTo: Number.POSITIVE_INFINITY, steps: 50 };

/**
 * Steps of an average worker in a round, by the steps that it does in the whole job. From scratch there are
 * about twenty rounds: with fewer, much is lost. A base moves too little in a round for that.
 */
export const roundSteps: Readonly<Record<WorkFacts['tune'], readonly Row[]>> = {
  none: [{ upTo: 400, steps: 12 }, { upTo: 800, steps: 25 }, FIFTY],
  full: [FIFTY],
  lora: [FIFTY],
};

/** Returns every value: as it was named, or as is usual for such a job. */
export function settleValues(named: NamedValues, { tune, optimiser, blocks, workers }: WorkFacts): UsualValues {
  const inner = innerRates[tune][optimiser] ?? innerRates[tune].adamw;
  const perWorker = blocks / Math.min(MOST_WORKERS, Math.max(1, workers));
  return {
    round: { steps: named.round.steps ?? stepsFor(tune, perWorker) },
    inner: { lr: named.inner.lr ?? inner.lr, muonLr: named.inner.muonLr ?? inner.muonLr },
    outer: { lr: named.outer.lr ?? outerRates.lr, momentum: named.outer.momentum ?? outerRates.momentum },
  };
}

/** Returns whether some number of workers makes these values the usual ones, beside what was named. */
export function areUsual(values: UsualValues, named: NamedValues, facts: Omit<WorkFacts, 'workers'>): boolean {
  return Array.from({ length: MOST_WORKERS }, (_, i) => settleValues(named, { ...facts, workers: i + 1 })).some(
    ({ round, inner, outer }) =>
      round.steps === values.round.steps &&
      inner.lr === values.inner.lr &&
      // AdamW takes no notice of it; a plan of an older node has one that was not chosen.
      (facts.optimiser === 'adamw' || inner.muonLr === values.inner.muonLr) &&
      outer.lr === values.outer.lr &&
      outer.momentum === values.outer.momentum,
  );
}

function stepsFor(tune: WorkFacts['tune'], perWorker: number): number {
  return (roundSteps[tune].find(({ upTo }) => perWorker <= upTo) ?? FIFTY).steps;
}
