/** When a block counts as one that the chain will not take back. */
export interface Finality {
  /** Blocks on top of a block that make it final. 0 says that this chain is never reorganised. */
  confirmations: number;
  /** Prefer the chain's own word for it (`finalized`), where it has one; `confirmations` then counts only where it has none. */
  preferTag?: boolean | undefined;
}
