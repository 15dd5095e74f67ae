/** Parsers of option values. */
import fc from 'fast-check';
import { formatEmt, typedEmt } from '../../../src/domain/emt';
import { amount, wholeNumber } from '../../../src/terminal/options';

describe('amount', () => {
  test.each([
    ['0emt', 0n],
    ['20 EMT', 20_000_000_000_000_000_000n],
    ['20wei', 20n],
    ['20emt', 20_000_000_000_000_000_000n],
    ['0.5EMT', 500_000_000_000_000_000n],
    ['1.000000000000000001emt', 1_000_000_000_000_000_001n],
  ])('amount %s: in wei', (text, wei) => expect(amount(text)).toBe(wei));

  test.each(['', '-1', 'emt', '0x10', '1.0000000000000000001emt', '1.5wei', '1e3emt'])('amount %j: refused', (text) => {
    expect(() => amount(text)).toThrow(/20emt or 5wei/);
  });

  test.each(['10', '0', '1.5'])('amount %s without a unit: asks which one is meant', (text) => {
    expect(() => amount(text)).toThrow(`${text}emt or ${text}wei?`);
  });

  test('given what is shown: the same amount', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 30n }), (wei) => {
        expect(amount(formatEmt(wei))).toBe(wei);
        expect(amount(typedEmt(wei))).toBe(wei);
      }),
    );
  });
});

describe('wholeNumber', () => {
  test('whole number: parsed', () => expect(wholeNumber(1)('12')).toBe(12));
  test.each(['0', '-1', '1.5', 'x', ''])('whole number %j: refused', (text) =>
    expect(() => wholeNumber(1)(text)).toThrow(/whole number/),
  );
});
