/** Parameters, fuel and deadline of a request. */
import {
  describeSpan,
  parseDeadline,
  parseParams,
  planFuel,
  requireFee,
} from '../../../../src/commands/jobs/request-plan';

describe('parseParams', () => {
  test('no parameters: epochs and batch are written down', () => {
    expect(parseParams('{}')).toMatchObject({
      text: '{"epochs":1,"batch":8}',
      params: { epochs: 1, batch: 8, codec: 'auto' },
    });
  });

  test('some parameters: only those and what fuel and blocks depend on are written down', () => {
    const { text } = parseParams('{ "model": { "layers": 2 }, "epochs": 2 }');
    expect(text).toBe('{"model":{"layers":2},"epochs":2,"batch":8}');
  });

  test.each([
    ['{', 'not JSON'],
    ['[]', 'not a JSON object'],
    ['{"epoch": 1}', 'epoch'],
    ['{"model": {"layers": 0}}', 'model.layers'],
    ['{"model": {"heads": 3}}', 'width must be a multiple of heads'],
    ['{"tokenizer": {"type": "words"}}', 'tokenizer'],
    ['{"lr": 0.1}', 'lr is not a parameter; did you mean inner.lr?'],
    ['{"model": {"layer": 3}}', 'model.layer is not a parameter; did you mean model.layers?'],
    ['{"epochz": 3}', 'did you mean epochs?'],
    ['{"inner": {"beta3": 0.9}}', 'did you mean inner.beta1?'],
    ['{"tokenizer": {"type": "bpe", "vocab": 512}}', 'did you mean tokenizer.vocabSize?'],
    ['{"favouriteColour": "red"}', /favouriteColour is not a parameter\.$/],
    ['{"model": {"layers": 96, "heads": 128, "width": 16384}}', 'no device has more than 512'],
  ])('parameters %s: throws usage/bad-params', (text, words) => {
    expect(() => parseParams(text)).toThrow(words);
  });
});

describe('planFuel', () => {
  const text = (bytes: number) => ({ bytes, isPacked: false });
  const planned = (data: Parameters<typeof planFuel>[1], params: object) =>
    planFuel(undefined, data, parseParams(JSON.stringify(params)).params);

  test('counted data: the whole blocks of all epochs, which a node will merge', () => {
    const tokens = { epochBlocks: 15, blockTokens: 1024 };
    expect(planned({ ...text(17_000), tokens }, { epochs: 2 })).toBe(30_720n);
    expect(planned({ ...text(17_000), tokens }, { epochs: 0.5 })).toBe(8n * 1024n);
  });
  test('text that nobody counted: by its bytes, its tokenizer and epochs', () => {
    expect(planned(text(1_000_000), { validation: 0.1 })).toBe(900_000n);
    expect(planned(text(1_000_000), { validation: 0.1, epochs: 2.5 })).toBe(2_250_000n);
    expect(planned(text(3_500_000), { validation: 0.1, tokenizer: { type: 'bpe' } })).toBe(900_000n);
  });
  test.each([
    ['an archive', { bytes: 1000, isPacked: true }, {}],
    ['a table', text(1000), { data: { format: 'csv' } }],
    ["a base's tokenizer", text(1000), { base: 'hf:org/model', tune: 'full' }],
  ])('%s that nobody counted: refused, unless the fuel is named', (_what, data, params) => {
    expect(() => planned(data, params)).toThrow(/run `npm run setup`, or name --fuel-limit/);
    expect(planFuel(7n, data, parseParams(JSON.stringify(params)).params)).toBe(7n);
  });
  test('fuel named by the requester: taken as it is, up to what the contract stores', () => {
    const { params } = parseParams('{}');
    expect(planFuel(5n, text(1_000_000), params)).toBe(5n);
    expect(planFuel(2n ** 40n - 1n, text(1), params)).toBe(2n ** 40n - 1n);
    expect(() => planFuel(2n ** 40n, text(1), params)).toThrow(/more than one job may have/);
  });
});

describe('parseDeadline', () => {
  const nowMs = Date.parse('2026-11-21T00:00:00Z');
  const rules = { minWorkMs: 60_000 };
  test.each([
    ['90s', 90_000],
    ['30m', 1_800_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['2026-11-21T01:00:00Z', 3_600_000],
  ])('deadline %s: a time after now', (text, laterMs) =>
    expect(parseDeadline(text, nowMs, rules)).toBe(nowMs + laterMs),
  );

  test.each(['', 'soon', '2', '2w', '2020-01-01', '-2h', '59s', '366d', '2028-01-01'])(
    'deadline %j: throws usage/bad-deadline',
    (text) => {
      expect(() => parseDeadline(text, nowMs, rules)).toThrow(/cannot be used/);
    },
  );
});

describe('describeSpan', () => {
  test.each([
    [0, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [7_100_000, '1 h 58 min'],
    [86_400_000, '1 d'],
    [90_061_000, '1 d 1 h'],
  ])('%d ms: in its largest units', (ms, text) => expect(describeSpan(ms)).toBe(text));
});

describe('requireFee', () => {
  test('fee at the minimum: accepted; below it: throws usage/fee-too-low', () => {
    requireFee(5n, { minFeeWei: 5n });
    expect(() => requireFee(4n, { minFeeWei: 5n })).toThrow(/below the contract's minimum/);
  });
});
