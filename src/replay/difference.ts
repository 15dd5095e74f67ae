/** What a replay finds different from what the manifest claims. */
import type { Address } from '../domain/ids';

const codes = {
  data: 'verdict/data-root',
  dataUnusable: 'verdict/model-unusable',
  firstWeights: 'verdict/first-weights',
  shard: 'verdict/shard',
  update: 'verdict/update',
  foldWeight: 'verdict/fold-weight',
  fold: 'verdict/fold',
  files: 'verdict/model-files',
  lease: 'verdict/lease',
  audit: 'verdict/audit',
  loss: 'verdict/loss',
  gain: 'verdict/no-gain',
  notFinite: 'verdict/not-finite',
} as const;

/**
 * One claim of a manifest that does not hold: where, what should be there, and what is. Everybody who repeats
 * the job words it alike; only `measured` differs from machine to machine.
 */
export interface Difference {
  code: string;
  /** One sentence for a person. */
  reason: string;
  round?: number | undefined;
  lease?: { worker: Address; start: number; end: number } | undefined;
  /** What a replay gives. */
  expected: string;
  /** What the manifest or the storage has instead. */
  got: string;
  /** What exactly this machine found. */
  measured?: string | undefined;
}

/** Thrown inside a replay to end it at the first difference; `replayJob` returns it. */
export class DifferenceFound extends Error {
  constructor(readonly difference: Difference) {
    super(difference.reason);
  }
}

export function describeDifference(kind: keyof typeof codes, found: Omit<Difference, 'code'>): Difference {
  return { code: codes[kind], ...found };
}

export function failReplay(kind: keyof typeof codes, found: Omit<Difference, 'code'>): never {
  throw new DifferenceFound(describeDifference(kind, found));
}
