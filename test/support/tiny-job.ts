import { join } from 'node:path';
import { type ResolvedParams, ResolvedParams as schema } from '../../src/protocol/job-params';

/** A model and a data set small enough to be trained in the blink of an eye. */
export const tinyParams: ResolvedParams = schema.parse({
  model: { layers: 1, heads: 2, width: 16, context: 16 },
  epochs: 1,
  batch: 4,
  round: { steps: 4 },
});

/** The same data with a model of which a step takes some milliseconds, so that a test can step in. */
export const slowParams: ResolvedParams = {
  ...tinyParams,
  model: { ...tinyParams.model, layers: 6, width: 64 },
};

/** The interpreter of this project. */
export const testPython = process.env.EMETH_PYTHON ?? join(__dirname, '..', '..', '.venv', 'bin', 'python');

/** About `kilobytes` of text in which there is something to learn. */
export function tinyText(kilobytes: number): string {
  const line = (i: number) => `Call number ${i} me Ishmael; some years ago, never mind how long precisely.\n`;
  return Array.from({ length: Math.ceil((kilobytes * 1024) / 70) }, (_, i) => line(i % 97)).join('');
}
