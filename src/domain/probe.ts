/** The probe of a worker: how much work it is, and which speed follows from its times. */

/** From a few steps of a core to something that keeps a GPU busy. */
export const probeShapes = ['S', 'M', 'L'] as const;
export type ProbeShape = (typeof probeShapes)[number];

/** The models of the shapes; their vocabulary is bytes. */
export const probeModels = {
  S: { layers: 4, heads: 4, width: 128, context: 128 },
  M: { layers: 6, heads: 6, width: 384, context: 128 },
  L: { layers: 12, heads: 16, width: 1024, context: 512 },
} as const satisfies Record<ProbeShape, object>;
export const PROBE_VOCABULARY = 256;
/** Sequences of a step. */
export const PROBE_BATCH = 8;

/**
 * The two runs of a probe: n steps and 2n steps. Only the longer one is compared with a re-execution, because
 * only there a false answer pays: whoever answers the shorter one falsely and early appears slower.
 */
export interface ProbePlan {
  shape: ProbeShape;
  short: number;
  long: number;
}

/** How long the longer run should take. */
const LONG_S = 3;
/** From this announcement on, the small model would measure how fast its steps are started, not computed. */
const MEDIUM_GFLOPS = 300;
/** The most that a re-execution on a CPU may cost, in GFLOP, and on a GPU. */
const MOST_GFLOP = { cpu: 600, cuda: 100_000 } as const;
const LEAST_STEPS = 2;
/**
 * How much faster than its whole time a run may count because of what every run costs beside its steps.
 * Without this limit, whoever keeps the answer to the shorter run back seems to need no time for the longer.
 */
const OVERHEAD = 1.25;

/** Counts the parameters of a shape: attention and MLP weights, embeddings, positions. */
export function probeParameters(shape: ProbeShape): number {
  const { layers, width, context } = probeModels[shape];
  return 12 * layers * width ** 2 + (PROBE_VOCABULARY + context) * width;
}

/** Returns the work of one step: 6 FLOP per parameter and token. */
export function stepGflop(shape: ProbeShape): number {
  return (6 * probeParameters(shape) * PROBE_BATCH * probeModels[shape].context) / 1e9;
}

/**
 * Plans a probe by what the worker announces and what this master can re-execute: the announcement makes a
 * probe longer or shorter, and never better or worse. The largest shape needs a GPU on both sides.
 */
export function planProbe(worker: { gflops: number; hasGpu: boolean }, master: { hasGpu: boolean }): ProbePlan {
  const shape = worker.hasGpu && master.hasGpu ? 'L' : worker.gflops >= MEDIUM_GFLOPS ? 'M' : 'S';
  const most = MOST_GFLOP[shape === 'L' ? 'cuda' : 'cpu'];
  const long = Math.min(LONG_S * worker.gflops, most) / stepGflop(shape);
  const short = Math.max(LEAST_STEPS, Math.floor(long / 2));
  return { shape, short, long: 2 * short };
}

/**
 * Returns the speed in GFLOP/s. The difference of the two times is free of what both runs have in common:
 * start, transfer, distance.
 */
export function probeSpeed({ shape, short, long }: ProbePlan, shortMs: number, longMs: number): number {
  const whole = (OVERHEAD * long) / Math.max(longMs, 1);
  const stepsPerMs = longMs > shortMs ? Math.min(whole, (long - short) / (longMs - shortMs)) : whole;
  return 1000 * stepsPerMs * stepGflop(shape);
}
