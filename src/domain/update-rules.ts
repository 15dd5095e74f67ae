/** What an update must be to count: pure rules over what was measured of it and of the job's earlier ones. */

/** What was measured of an update, and how far its learning rates could carry it. */
export interface UpdateFacts {
  norm: number;
  blocks: number;
  /** Sum of the learning rates of its steps. */
  rates: number;
}

/** The part of the median norm that an update must exceed. */
const LEAST_NORM = 1e-3;
/** The part of one step's norm that an update must exceed before a median is known. */
const LEAST_STEP = 0.1;
/** Accepted updates from which on their median says something. */
const ENOUGH = 3;
/** An update this many times shorter or longer than comparable ones, at its rates, looks scaled. */
const SCALED = 2;
const TWIN_COSINE = 0.999;
/** The leases over which an update's use is judged. */
const JUDGED_LEASES = 3;
/** The part of the usual gain of its round that an update must reach. */
const LEAST_USE = 0.1;
/**
 * Where the updates accepted last gain less, in nats per token, nobody's gain says anything: it is measured
 * on a few sequences, and honest ones of a small job were seen at −0.02 while the others gained as little.
 */
const FLAT_GAIN = 0.05;
const FLAT_LEASES = 8;

/**
 * Returns the norm below which an update is no work. From three accepted updates on it is a thousandth of
 * their median. Before that it is a tenth of what one step makes at the lease's mean rate: AdamW divides
 * each gradient by its own size, so a step at rate η moves each of n weights by about η, and all of them
 * by η · √n; the further steps of a lease go elsewhere or the same way, and so together farther.
 * `stepSquare` is that n, or what another optimiser has in its place; of the matrices of the layers alone,
 * as a vocabulary's rows move only where they occur. A lease whose schedule has come down to nothing owes
 * nothing.
 */
export function leastNorm(lease: UpdateFacts, accepted: readonly UpdateFacts[], stepSquare: number): number {
  const oneStep = LEAST_STEP * (lease.rates / lease.blocks) * Math.sqrt(stepSquare);
  if (accepted.length < ENOUGH) return oneStep;
  return Math.min(oneStep, LEAST_NORM * median(accepted.map(({ norm }) => norm)));
}

/**
 * True for an update much longer or shorter than the job's others of about its number of blocks, each
 * measured by its rates.
 */
export function looksScaled(update: UpdateFacts, accepted: readonly UpdateFacts[]): boolean {
  const alike = accepted.filter(({ blocks }) => blocks <= 2 * update.blocks && update.blocks <= 2 * blocks);
  if (alike.length < ENOUGH) return false;
  const reach = ({ norm, rates }: UpdateFacts) => norm / Math.max(rates, Number.MIN_VALUE);
  const usual = median(alike.map(reach));
  return reach(update) > SCALED * usual || SCALED * reach(update) < usual;
}

/** True for two updates of a round with one direction, which two independent trainings never have. */
export function areTwins(cosine: number): boolean {
  return cosine >= TWIN_COSINE;
}

/**
 * Returns by how much an update is of more use than it must be: its gain (how much it lowered the loss on its
 * own lease) less a tenth of the median gain of the others in its round. Noise of an update's length gains or
 * loses by chance a hundredth of what work gains, so the sign alone would let half of it pass.
 */
export function marginOf(gain: number, others: readonly number[]): number {
  const usual = median(others);
  return usual < FLAT_GAIN ? gain : gain - LEAST_USE * usual;
}

/**
 * Judges by its margins whether a worker's work is of use: the median of its last three, this one included,
 * must be above 0. Where the job's own last gains are about 0 too, as late in a job, that says nothing and is
 * `doubtful`, as is a single margin below 0.
 */
export function judgeUse(own: readonly number[], accepted: readonly number[]): 'useful' | 'doubtful' | 'useless' {
  const last = own.slice(-JUDGED_LEASES);
  if (median(last) > 0) return (last.at(-1) ?? 0) > 0 ? 'useful' : 'doubtful';
  const recent = accepted.slice(-FLAT_LEASES);
  return recent.length >= ENOUGH && median(recent) < FLAT_GAIN ? 'doubtful' : 'useless';
}

/** The mean of the two middle values of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}
