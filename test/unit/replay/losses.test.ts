/** The rules about the losses of a result. */
import { Manifest } from '../../../src/protocol/manifest';
import { checkLosses } from '../../../src/replay/losses';
import { honestManifest } from '../../support/manifest';

/** A manifest that claims a fall from 5.5 to 2.5, of a job with this `minGain`. */
function claiming(minGain: number, validationLoss = { start: 5.5, end: 2.5 }): Manifest {
  const honest = Manifest.parse(honestManifest());
  return { ...honest, params: { ...honest.params, minGain }, validationLoss };
}

test.each([
  ['as claimed', { start: 5.5, end: 2.5 }, undefined],
  ['within the tolerance', { start: 5.495, end: 2.505 }, undefined],
  ['other first weights', { start: 5.52, end: 2.5 }, 'verdict/loss'],
  ['worse model', { start: 5.5, end: 2.52 }, 'verdict/loss'],
  ['better model than claimed', { start: 5.5, end: 2.48 }, 'verdict/loss'],
  ['not a number', { start: 5.5, end: Number.NaN }, 'verdict/loss'],
])('measured losses %s: %#', (_what, measured, code) => {
  expect(checkLosses(claiming(0.01), measured, 0.01)?.code).toBe(code);
});

test.each([
  [0.01, 4.98, undefined],
  [0.01, 4.99, 'verdict/no-gain'],
  [0.01, 5, 'verdict/no-gain'],
  [0.01, 5.2, 'verdict/no-gain'],
  [0, 4.9999, undefined],
  [0, 5, 'verdict/no-gain'],
])('minGain %d, from 5 to %d: %s', (minGain, end, code) => {
  const losses = { start: 5, end };
  expect(checkLosses(claiming(minGain, losses), losses, 0.01)?.code).toBe(code);
});
