/** What a worker trains in a probe, as the parameters of a job. */
import { PROBE_BATCH, PROBE_VOCABULARY, type ProbeShape, probeModels } from '../domain/probe';
import { ResolvedParams } from './job-params';
import type { TrainerSpec } from './trainer';

/** Steps of the learning-rate schedule; a probe stays at its beginning. */
const SCHEDULE_STEPS = 10_000;

/**
 * Returns the parameters of a probe. Between two GPUs it is trained as jobs are; otherwise one side is a CPU,
 * and only fp32 is comparable. Whatever optimiser jobs use, it is AdamW, so that all speeds mean the same.
 */
export function probeParams(shape: ProbeShape, batch = PROBE_BATCH): ResolvedParams {
  const precision = shape === 'L' ? 'auto' : 'fp32';
  const rates = { round: { steps: 50 }, outer: { lr: 1, momentum: 0.5 } };
  const inner = { optimiser: 'adamw', lr: 2e-3, muonLr: 0.02 } as const;
  return ResolvedParams.parse({
    model: probeModels[shape],
    ...rates,
    inner,
    epochs: 1,
    batch,
    codec: 'int8',
    precision,
  });
}

type TrainSpec = Extract<TrainerSpec, { kind: 'train' }>;

/** Returns the spec of a child that does a probe's runs. */
export function probeSpec(
  probe: { probeId: string; shape: ProbeShape; batch: number },
  place: Pick<TrainSpec, 'device' | 'threads' | 'workDir' | 'processes' | 'microBatch' | 'team' | 'teamMs'>,
): TrainSpec {
  const params = probeParams(probe.shape, probe.batch);
  return {
    kind: 'train',
    ...place,
    jobId: probe.probeId,
    params,
    vocabSize: PROBE_VOCABULARY,
    totalBlocks: SCHEDULE_STEPS,
    microBatch: Math.min(place.microBatch, probe.batch),
  };
}
