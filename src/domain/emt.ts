/** Amounts of EMT and of the chain's own coin, formatted for people. */
/** Formats an amount of EMT with all its digits, without trailing zeros. */
export function formatEmt(wei: bigint): string {
  return `${formatCoins(wei)} EMT`;
}

/** Formats an amount as it is typed in a command: `12.5emt`. */
export function typedEmt(wei: bigint): string {
  return `${formatCoins(wei)}emt`;
}

/** Formats an amount of the chain's own coin with all its digits. */
export function formatEth(wei: bigint): string {
  return `${formatCoins(wei)} ETH`;
}

function formatCoins(wei: bigint): string {
  const digits = (wei < 0n ? -wei : wei).toString().padStart(19, '0');
  const part = digits.slice(-18).replace(/0+$/, '');
  return `${wei < 0n ? '-' : ''}${digits.slice(0, -18)}${part ? `.${part}` : ''}`;
}

/**
 * Parses an amount of EMT with its unit, `12.5emt` or `5wei`; undefined for anything else. A bare number
 * could mean either, and the two differ by eighteen digits.
 */
export function parseEmt(text: string): bigint | undefined {
  const [, whole = '', part = '', unit] = /^(\d+)(?:\.(\d{1,18}))? ?(emt|wei)$/i.exec(text.trim()) ?? [];
  if (unit === undefined) return undefined;
  if (unit.toLowerCase() === 'emt') return BigInt(whole + part.padEnd(18, '0'));
  return part === '' ? BigInt(whole) : undefined;
}
