/** Amounts of EMT and of the chain's own coin, formatted for people. */
/** Formats an amount of EMT with all its digits, without trailing zeros. */
export function formatEmt(wei: bigint): string {
  return `${formatCoins(wei)} EMT`;
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
