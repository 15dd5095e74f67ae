/** A job so small that a test can train it. */
import { join } from 'node:path';
import type { ResolvedParams } from '../../src/protocol/job-params';
import { plannedParams } from './planned-params';

export type ScratchParams = Extract<ResolvedParams, { tune: 'none' }>;

/** Parameters of a model that trains in milliseconds. */
export const tinyParams = plannedParams({
  model: { layers: 1, heads: 2, width: 16, context: 16 },
  epochs: 1,
  batch: 4,
  round: { steps: 4 },
}) as ScratchParams;

/** The same with a model whose steps take some milliseconds, so that a test can interrupt a round. */
export const slowParams: ScratchParams = {
  ...tinyParams,
  model: { ...tinyParams.model, layers: 6, width: 64 },
};

/** The interpreter as users have it. */
export const realPython =
  process.env.EMETH_REAL_PYTHON ?? process.env.EMETH_PYTHON ?? join(__dirname, '..', '..', '.venv', 'bin', 'python');
/** The interpreter of tests: in the slower projects one that forks children (`shared-python.ts`). */
export const testPython = process.env.EMETH_PYTHON ?? realPython;

/** Returns about `kilobytes` of text with a pattern to learn. */
export function tinyText(kilobytes: number): string {
  const line = (i: number) => `Call number ${i} me Ishmael; some years ago, never mind how long precisely.\n`;
  return Array.from({ length: Math.ceil((kilobytes * 1024) / 70) }, (_, i) => line(i % 97)).join('');
}
