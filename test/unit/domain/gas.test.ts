/** Prices per gas: how they are written, how a fee is raised, and what a node's refusal demands. */
import { demandedFee, firstFee, formatGwei, parseGasPrice, raisedFee } from '../../../src/domain/gas';

const GWEI = 1_000_000_000n;
const gwei = (max: bigint, tip: bigint) => ({ maxFeePerGas: max * GWEI, maxPriorityFeePerGas: tip * GWEI });
const market = (base: bigint, tip: bigint) => ({ baseWei: base * GWEI, tipWei: tip * GWEI });

test.each([
  ['500gwei', 500n * GWEI],
  ['1.5 GWEI', 1_500_000_000n],
  ['0.000000001gwei', 1n],
  ['7wei', 7n],
  ['7', undefined],
  ['1.5wei', undefined],
  ['5eth', undefined],
  ['', undefined],
])('%s: parsed as a price per gas, or refused', (text, wei) => {
  expect(parseGasPrice(text)).toBe(wei);
  if (wei !== undefined) expect(parseGasPrice(formatGwei(wei))).toBe(wei);
});

test('first fee: room for a doubled base fee, within the bound, not below it', () => {
  expect(firstFee(market(10n, 2n), 500n * GWEI)).toEqual(gwei(22n, 2n));
  expect(firstFee(market(300n, 2n), 500n * GWEI)).toEqual(gwei(500n, 2n));
  expect(firstFee(market(501n, 2n), 500n * GWEI)).toBeUndefined();
});

test('replacement: the highest of an eighth more, the market, what the node names', () => {
  const last = gwei(800n, 8n);
  expect(raisedFee(last, market(1n, 1n), {}, 5000n * GWEI)?.maxFeePerGas).toBe(900n * GWEI + 1n);
  expect(raisedFee(last, market(1000n, 20n), {}, 5000n * GWEI)).toEqual(gwei(2020n, 20n));
  expect(raisedFee(last, market(1n, 1n), gwei(3000n, 30n), 5000n * GWEI)).toEqual(gwei(3000n, 30n));
});

test('replacement at the bound: none that the chain or the node would not take', () => {
  const last = gwei(400n, 4n);
  expect(raisedFee(last, market(450n, 1n), {}, 500n * GWEI)?.maxFeePerGas).toBe(500n * GWEI);
  expect(raisedFee(last, market(501n, 1n), {}, 500n * GWEI)).toBeUndefined();
  expect(raisedFee(last, market(410n, 1n), {}, 439n * GWEI)).toBeUndefined();
});

test.each([
  ['max fee per gas less than block base fee: address 0x12, maxFeePerGas: 2, baseFee: 600', { maxFeePerGas: 600n }],
  ['transaction underpriced: gas tip cap 1, minimum needed 25', { maxFeePerGas: 25n, maxPriorityFeePerGas: 25n }],
  ['max fee per gas less than block base fee', {}],
  ['insufficient funds for gas * price + value: have 1 want 2', {}],
  ['Insufficient funds. The account does not have enough funds. Required 4000000000000000 and got: 50.', {}],
])('refusal "%s": the fees it names', (words, demanded) => {
  expect(demandedFee(words)).toEqual(demanded);
});
