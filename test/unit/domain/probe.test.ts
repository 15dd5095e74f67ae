/** How much work a probe is, and which speed its times give. */
import { countParameters } from '../../../src/domain/model-size';
import { planProbe, probeModels, probeParameters, probeShapes, probeSpeed, stepGflop } from '../../../src/domain/probe';

const cpu = { hasGpu: false };
const gpu = { hasGpu: true };

test.each(probeShapes)('shape %s: its weights are those of a job, but for biases and norms', (shape) => {
  const all = countParameters({ family: 'gpt2', ...probeModels[shape] }, 256);
  expect(probeParameters(shape) / all).toBeGreaterThan(0.99);
  expect(probeParameters(shape)).toBeLessThan(all);
});

test.each<[number, boolean, { hasGpu: boolean }, object]>([
  [1, false, cpu, { shape: 'S', short: 2, long: 4 }],
  [50, false, cpu, { shape: 'S', short: 14, long: 28 }],
  [299, false, gpu, { shape: 'S', short: 58, long: 116 }],
  [5000, false, cpu, { shape: 'M', short: 4, long: 8 }],
  [1e12, true, cpu, { shape: 'M', short: 4, long: 8 }],
  [50_000, true, gpu, { shape: 'L', short: 13, long: 26 }],
])('announced %d, GPU %p, master %p: %p', (gflops, hasGpu, master, plan) => {
  expect(planProbe({ gflops, hasGpu }, master)).toEqual(plan);
});

describe('speed', () => {
  const plan = { shape: 'S', short: 10, long: 20 } as const;
  const perSecond = (steps: number) => steps * stepGflop('S');

  test('start and transfer in both runs: they cancel out', () => {
    expect(probeSpeed(plan, 200 + 1000, 200 + 2000)).toBeCloseTo(perSecond(10), 9);
  });

  test('short answer kept back: no more than the whole time allows', () => {
    expect(probeSpeed(plan, 1999, 2000)).toBeCloseTo(perSecond(12.5), 9);
    expect(probeSpeed(plan, 3000, 2000)).toBeCloseTo(perSecond(12.5), 9);
  });

  test('short answer given too early: the worker appears slower', () => {
    expect(probeSpeed(plan, 0, 2000)).toBeCloseTo(perSecond(5), 9);
  });

  test('no time at all: a number', () => {
    expect(Number.isFinite(probeSpeed(plan, 0, 0))).toBe(true);
  });
});
