/** Which values a job gets that its requester left open. */
import { areUsual, roundSteps, settleValues, type WorkFacts } from '../../../src/domain/usual-values';

const facts: WorkFacts = { tune: 'none', optimiser: 'adamw', blocks: 2000, workers: 2 };
const open = { round: {}, inner: {}, outer: {} };

test('nothing named: what is usual for the kind of job', () => {
  expect(settleValues(open, facts)).toEqual({
    round: { steps: 50 },
    inner: { lr: 2e-3, muonLr: 0.02 },
    outer: { lr: 1, momentum: 0.5 },
  });
  expect(settleValues(open, { ...facts, tune: 'full' }).inner).toEqual({ lr: 5e-5, muonLr: 5e-4 });
  expect(settleValues(open, { ...facts, tune: 'lora' }).inner).toEqual({ lr: 2e-4, muonLr: 2e-3 });
});

test('short jobs from scratch: shorter rounds', () => {
  const stepsOf = (blocks: number, tune: WorkFacts['tune'] = 'none') =>
    settleValues(open, { ...facts, tune, blocks }).round.steps;
  expect([800, 802, 1600, 1602].map((blocks) => stepsOf(blocks))).toEqual([12, 25, 25, 50]);
  expect(stepsOf(800, 'lora')).toBe(50);
});

test('some named, also as 0: they stay', () => {
  const named = { round: { steps: 7 }, inner: { lr: 1e-4, muonLr: 0.03 }, outer: { momentum: 0 } };
  expect(settleValues(named, facts)).toEqual({ ...named, outer: { lr: 1, momentum: 0 } });
});

test('more work than any bound, or none: a row of every table fits', () => {
  for (const size of [0, 1, 1e15]) {
    const values = settleValues(open, { ...facts, blocks: size, workers: 0 });
    expect(Object.values(values).flatMap((group) => Object.values(group as object))).not.toContain(undefined);
  }
});

test('tables: bounds rise, and the last row has none', () => {
  for (const rows of Object.values(roundSteps)) {
    const bounds = rows.map(({ upTo }) => upTo);
    expect(bounds).toEqual([...new Set(bounds)].sort((a, b) => a - b));
    expect(bounds.at(-1)).toBe(Number.POSITIVE_INFINITY);
  }
});

test('values of another node: usual as they came out, and no others', () => {
  const values = settleValues(open, facts);
  expect(areUsual(values, open, facts)).toBe(true);
  expect(areUsual(settleValues(open, { ...facts, workers: 1e6 }), open, facts)).toBe(true);
  expect(areUsual({ ...values, outer: { ...values.outer, momentum: 0.51 } }, open, facts)).toBe(false);
  expect(areUsual({ ...values, inner: { ...values.inner, lr: 1 } }, { ...open, inner: { lr: 1 } }, facts)).toBe(true);
});

test('rate of Muon where all is trained by AdamW: any is usual', () => {
  for (const tune of ['none', 'full', 'lora'] as const) {
    const kind = { ...facts, tune };
    const values = settleValues(open, kind);
    const other = { ...values, inner: { ...values.inner, muonLr: 0.03 } };
    expect(areUsual(other, open, kind)).toBe(true);
    expect(areUsual(other, open, { ...kind, optimiser: 'muon' })).toBe(false);
  }
});
