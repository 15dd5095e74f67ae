/** Chains for development, by chain id, and the two exceptions made for them. */

/** Chain of anvil and Hardhat. */
const HARDHAT = 31337;
/** Chain of Ganache and `geth --dev`; also a common id of private networks, which may reorganise. */
const GANACHE = 1337;

/** True where accounts with published keys are acceptable. */
export function isDevChain(chainId: number): boolean {
  return chainId === HARDHAT || chainId === GANACHE;
}

/**
 * True where blocks come only with transactions and are never reorganised: waiting for confirmations could
 * last for ever.
 */
export function minesOnDemand(chainId: number): boolean {
  return chainId === HARDHAT;
}
