/** What a transaction pays per gas: a first fee, and a higher one in its place, within the owner's bound. */

/** Fees in wei per gas, as a transaction carries them. */
export interface GasFee {
  maxFeePerGas: bigint;
  maxPriorityFeePerGas: bigint;
}

/** What the chain asks for, in wei per gas. */
export interface GasMarket {
  /** Base fee of the next chain block: a transaction that pays less cannot be in it. */
  baseWei: bigint;
  /** The usual priority fee. */
  tipWei: bigint;
}

const GWEI_DIGITS = 9;

/** Parses a price per gas with its unit, e.g. `1.5gwei` or `7wei`. Undefined for other text. */
export function parseGasPrice(text: string): bigint | undefined {
  const [, whole, part = '', unit] = /^(\d{1,30})(?:\.(\d{1,9}))? ?(gwei|wei)$/i.exec(text.trim()) ?? [];
  if (whole === undefined || unit === undefined) return undefined;
  if (unit.toLowerCase() === 'wei') return part === '' ? BigInt(whole) : undefined;
  return BigInt(whole + part.padEnd(GWEI_DIGITS, '0'));
}

/** Formats a price per gas with all its digits. */
export function formatGwei(wei: bigint): string {
  const digits = wei.toString().padStart(GWEI_DIGITS + 1, '0');
  const part = digits.slice(-GWEI_DIGITS).replace(/0+$/, '');
  return `${digits.slice(0, -GWEI_DIGITS)}${part ? `.${part}` : ''} gwei`;
}

/**
 * Returns the fee of a new transaction: what the chain asks, with room for a base fee that doubles, and no
 * more than `capWei`. Undefined when that is below the base fee.
 */
export function firstFee({ baseWei, tipWei }: GasMarket, capWei: bigint): GasFee | undefined {
  return baseWei > capWei ? undefined : fee(2n * baseWei + tipWei, tipWei, capWei);
}

/**
 * Returns the fee of a replacement: what the chain and the node's refusal ask for, at least an eighth more
 * than `last`, and no more than `capWei`. Undefined when that is below the base fee, or too little more for
 * nodes to take it in place of the other.
 */
export function raisedFee(
  last: GasFee,
  { baseWei, tipWei }: GasMarket,
  demanded: Partial<GasFee>,
  capWei: bigint,
): GasFee | undefined {
  const tip = highest(eighthMore(last.maxPriorityFeePerGas), tipWei, demanded.maxPriorityFeePerGas);
  const max = highest(eighthMore(last.maxFeePerGas), 2n * baseWei + tip, demanded.maxFeePerGas);
  const raised = fee(max, tip, capWei);
  const isAccepted =
    raised.maxFeePerGas >= tenthMore(last.maxFeePerGas) &&
    raised.maxPriorityFeePerGas >= tenthMore(last.maxPriorityFeePerGas);
  return isAccepted && raised.maxFeePerGas >= baseWei ? raised : undefined;
}

/**
 * Returns the fees that a node's refusal names, e.g. `gas tip cap 1, minimum needed 25000000000`. One for
 * want of money names none: what it requires is a balance.
 */
export function demandedFee(refusal: string): Partial<GasFee> {
  if (/\b(funds|balance)\b/i.test(refusal)) return {};
  const base = lastNumber(refusal, /base ?fee(?: per gas)?\s*[:=]?\s*(\d+)/gi);
  const least = lastNumber(refusal, /(?:minimum(?: needed)?|at least|required|chain ?min)\s*[:=]?\s*(\d+)/gi);
  if (least === undefined) return base === undefined ? {} : { maxFeePerGas: base };
  const isTip = /\btip\b|priority/i.test(refusal);
  return { maxFeePerGas: highest(least, base), ...(isTip ? { maxPriorityFeePerGas: least } : {}) };
}

/** Returns the highest of some amounts; 0 for none. */
export function highest(...all: readonly (bigint | undefined)[]): bigint {
  return all.reduce<bigint>((a, b = 0n) => (b > a ? b : a), 0n);
}

function fee(maxWei: bigint, tipWei: bigint, capWei: bigint): GasFee {
  const maxFeePerGas = lowest(maxWei, capWei);
  return { maxFeePerGas, maxPriorityFeePerGas: lowest(tipWei, maxFeePerGas) };
}

/** More than any node demands of a replacement. */
const eighthMore = (wei: bigint) => (wei * 1125n) / 1000n + 1n;
/** What most nodes demand of a replacement. */
const tenthMore = (wei: bigint) => (wei * 11n + 9n) / 10n;
const lowest = (a: bigint, b: bigint) => (a < b ? a : b);

function lastNumber(text: string, pattern: RegExp): bigint | undefined {
  const digits = [...text.matchAll(pattern)].at(-1)?.[1];
  return digits === undefined ? undefined : BigInt(digits);
}
