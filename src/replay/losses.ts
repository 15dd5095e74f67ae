/** What the measured losses of a result must be. */
import { hasGained } from '../domain/gain';
import type { Manifest } from '../protocol/manifest';
import { type Difference, describeDifference } from './difference';

export interface Losses {
  start: number;
  end: number;
}

/**
 * Compares measured losses with the claimed ones, and asks that training was of use: the loss must have
 * fallen by more than the job's `minGain`. Returns undefined if all holds.
 */
export function checkLosses(
  { validationLoss, params }: Pick<Manifest, 'validationLoss' | 'params'>,
  measured: Losses,
  tolerance: number,
): Difference | undefined {
  const { start, end } = measured;
  for (const [name, found, got] of [
    ['first weights', start, validationLoss.start],
    ['model', end, validationLoss.end],
  ] as const) {
    if (Math.abs(found - got) <= tolerance) continue;
    const values = { expected: 'the loss of another evaluation', got: String(got), measured: String(found) };
    return describeDifference('loss', { reason: `the loss of the ${name} is not ${got}`, ...values });
  }
  if (hasGained(measured, params)) return undefined;
  return describeDifference('gain', {
    reason: 'training did not lower the loss by more than the job asks for',
    expected: `a fall of more than ${params.minGain}`,
    got: 'less',
    measured: `${start} before, ${end} after`,
  });
}
