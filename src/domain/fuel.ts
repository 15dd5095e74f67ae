/** Fuel (tokens) and the money that follows from it, on which master and verifier agree to the last wei. */
const ALL_BPS = 10_000n;

/** Blocks of a job: epochs may be fractional, but there is always at least one block. */
export function countBlocks(epochs: number, epochBlocks: number): number {
  return Math.max(1, Math.round(epochs * epochBlocks));
}

/** The tokens a job pays for: those it merged, up to its limit. */
export function fuelOf(tokens: number | bigint, fuelLimit: bigint): bigint {
  const fuel = BigInt(tokens);
  return fuel < fuelLimit ? fuel : fuelLimit;
}

/** The part of the fee that the fuel used has earned, in wei, rounded down as the contract does. */
export function earnedWei(feeWei: bigint, fuelUsed: bigint, fuelLimit: bigint): bigint {
  return (feeWei * fuelUsed) / fuelLimit;
}

/** So many basis points (hundredths of a percent) of an amount, rounded down as the contract does. */
export function partOf(amountWei: bigint, bps: number | bigint): bigint {
  return (amountWei * BigInt(bps)) / ALL_BPS;
}

/** What is left of a job's pay for its workers once the node has its commission. */
export function workerPoolOf(payoutWei: bigint, commissionBps: number): bigint {
  return payoutWei - partOf(payoutWei, commissionBps);
}
