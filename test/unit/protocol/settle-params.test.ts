/** From a request to the parameters that a job is trained with. */
import { JobParams, ResolvedParams } from '../../../src/protocol/job-params';
import { settleParams } from '../../../src/protocol/settle-params';

const facts = { blocks: 2000, workers: 2, autoCodec: 'bf16' } as const;
const settle = (asked: object) => settleParams({ ...JobParams.parse(asked), epochs: 1, batch: 4 }, facts);

test.each([{}, { tune: 'full', base: 'hf:org/model' }, { tune: 'lora', base: 'hf:org/model' }])(
  '%j: settled, every value is there',
  (asked) => {
    const params = settle(asked);
    expect(ResolvedParams.parse(params)).toEqual(params);
    expect(params).toMatchObject({ ...asked, round: { steps: 50 }, outer: { lr: 1, momentum: 0.5 } });
  },
);

test('named values: as they were named, beside the defaults of their group', () => {
  const asked = { round: { steps: 9 }, inner: { lr: 0.01, clip: 3 }, outer: { momentum: 0.9 } };
  expect(settle(asked)).toMatchObject({
    ...asked,
    outer: { lr: 1, momentum: 0.9 },
    inner: { ...asked.inner, beta1: 0.9 },
  });
});

test('codec auto: the one that the links allow; any other stays', () => {
  expect(settle({ codec: 'auto' }).codec).toBe('bf16');
  expect(settle({ codec: 'fp32' }).codec).toBe('fp32');
});

test.each(['round.steps', 'inner.lr', 'outer.lr', 'outer.momentum'])(
  'planned parameters without %s: refused',
  (path) => {
    const params: Record<string, Record<string, unknown>> = JSON.parse(JSON.stringify(settle({})));
    const [group = '', key = ''] = path.split('.');
    delete params[group]?.[key];
    expect(ResolvedParams.safeParse(params).error?.issues).toMatchObject([{ path: path.split('.') }]);
  },
);

test('a job from scratch: Muon; with a base: AdamW', () => {
  const optimiserOf = (asked: object) => settle(asked).inner.optimiser;
  expect(optimiserOf({})).toBe('muon');
  expect(optimiserOf({ tune: 'full', base: 'hf:org/model' })).toBe('adamw');
  expect(optimiserOf({ tune: 'lora', base: 'hf:org/model' })).toBe('adamw');
});

test('a plan from before there was a choice: goes on with AdamW', () => {
  const planned = settle({});
  const inner = Object.fromEntries(Object.entries(planned.inner).filter(([key]) => !/optimiser|muon/.test(key)));
  expect(ResolvedParams.parse({ ...planned, inner }).inner.optimiser).toBe('adamw');
});

test('planned parameters with codec auto: refused', () => {
  expect(ResolvedParams.safeParse({ ...settle({}), codec: 'auto' }).success).toBe(false);
});
