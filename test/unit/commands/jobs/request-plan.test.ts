/** Parameters, fuel and deadline of a request. */
import { parseDeadline, parseParams, planFuel } from '../../../../src/commands/jobs/request-plan';

describe('parseParams', () => {
  test('no parameters: one epoch, written down', () => {
    expect(parseParams('{}')).toMatchObject({ text: '{"epochs":1}', params: { epochs: 1, codec: 'int8' } });
  });

  test('some parameters: only those are written down', () => {
    expect(parseParams('{ "model": { "layers": 2 }, "epochs": 2 }').text).toBe('{"model":{"layers":2},"epochs":2}');
  });

  test.each([
    ['{', 'not JSON'],
    ['[]', 'not a JSON object'],
    ['{"epoch": 1}', 'epoch'],
    ['{"model": {"layers": 0}}', 'model.layers'],
    ['{"model": {"heads": 3}}', 'width must be a multiple of heads'],
    ['{"tokenizer": {"type": "words"}}', 'tokenizer'],
  ])('parameters %s: throws usage/bad-params', (text, words) => {
    expect(() => parseParams(text)).toThrow(words);
  });
});

describe('planFuel', () => {
  test('byte tokeniser: every byte of the training part is a token', () => {
    expect(planFuel(1_000_000, parseParams('{"validation":0.1}').params)).toBe(900_000n);
  });
  test('several epochs: the fuel grows with them', () => {
    expect(planFuel(1_000_000, parseParams('{"validation":0.1,"epochs":2.5}').params)).toBe(2_250_000n);
  });
  test('BPE tokeniser: fewer tokens than bytes', () => {
    const { params } = parseParams('{"validation":0.1,"tokenizer":{"type":"bpe"}}');
    expect(planFuel(3_500_000, params)).toBe(900_000n);
  });
});

describe('parseDeadline', () => {
  const nowMs = Date.parse('2026-11-21T00:00:00Z');
  test.each([
    ['90s', 90_000],
    ['30m', 1_800_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['2026-11-21T01:00:00Z', 3_600_000],
  ])('deadline %s: a time after now', (text, laterMs) => expect(parseDeadline(text, nowMs)).toBe(nowMs + laterMs));

  test.each(['', 'soon', '2', '2w', '2020-01-01', '-2h'])('deadline %j: throws usage/bad-deadline', (text) => {
    expect(() => parseDeadline(text, nowMs)).toThrow(/cannot be used/);
  });
});
