/** Rates and rounds of a job whose requester leaves them open: by how large its model and its work are. */

/** What the choice depends on. */
export interface WorkFacts {
  tune: 'none' | 'full' | 'lora';
  optimiser: 'adamw' | 'muon';
  /** Numbers that are trained. */
  trainable: number;
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

/** A row counts up to its bound, included, and the first that does is taken; the last has no bound. */
interface Row {
  upTo: number;
}
interface InnerRow extends Row {
  lr: number;
  muonLr: number;
}
const ANY = Number.POSITIVE_INFINITY;

/** Peaks of the inner rates, by kind of job, optimiser and numbers trained. */
export const innerRates: Readonly<
  Record<WorkFacts['tune'], { adamw: readonly InnerRow[]; muon?: readonly InnerRow[] }>
> = {
  none: { adamw: [{ upTo: ANY, lr: 2e-3, muonLr: 0.02 }], muon: [{ upTo: ANY, lr: 3e-3, muonLr: 0.02 }] },
  full: { adamw: [{ upTo: ANY, lr: 5e-5, muonLr: 5e-4 }], muon: [{ upTo: ANY, lr: 5e-5, muonLr: 5e-4 }] },
  // An adapter is not trained by Muon.
  lora: { adamw: [{ upTo: ANY, lr: 2e-4, muonLr: 2e-3 }] },
};

/**
 * Steps of an average worker in a round, by the steps that it does in the whole job. From scratch there are
 * about twenty rounds: with fewer, much is lost. A base moves too little in a round for that.
 */
export const roundSteps: Readonly<Record<WorkFacts['tune'], readonly (Row & { steps: number })[]>> = {
  none: [
    { upTo: 400, steps: 12 },
    { upTo: 800, steps: 25 },
    { upTo: ANY, steps: 50 },
  ],
  full: [{ upTo: ANY, steps: 50 }],
  lora: [{ upTo: ANY, steps: 50 }],
};

/** The outer step, by optimiser and number of rounds. */
export const outerRates: Readonly<Record<WorkFacts['optimiser'], readonly (Row & { lr: number; momentum: number })[]>> =
  {
    adamw: [{ upTo: ANY, lr: 1, momentum: 0.5 }],
    muon: [{ upTo: ANY, lr: 1, momentum: 0.5 }],
  };

/** Returns every value: as it was named, or as is usual for such a job. */
export function settleValues(named: NamedValues, facts: WorkFacts): UsualValues {
  const { tune, optimiser, trainable, blocks } = facts;
  const perWorker = blocks / Math.min(MOST_WORKERS, Math.max(1, facts.workers));
  const steps = named.round.steps ?? rowFor(roundSteps[tune], perWorker).steps;
  const inner = rowFor(innerRates[tune][optimiser] ?? innerRates[tune].adamw, trainable);
  const outer = rowFor(outerRates[optimiser], Math.round(perWorker / steps));
  return {
    round: { steps },
    inner: { lr: named.inner.lr ?? inner.lr, muonLr: named.inner.muonLr ?? inner.muonLr },
    outer: { lr: named.outer.lr ?? outer.lr, momentum: named.outer.momentum ?? outer.momentum },
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

function rowFor<R extends Row>(rows: readonly R[], size: number): R {
  const row = rows.find(({ upTo }) => size <= upTo);
  if (!row) throw new Error(`No row of a table goes up to ${size}`);
  return row;
}
