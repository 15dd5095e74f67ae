/** The rule by which a block counts as final: treated as one that no reorganisation can remove. */
export interface Finality {
  /** Number of blocks on top of a block that make it final. 0 is for chains that never reorganise. */
  confirmations: number;
  /** Use the chain's own `finalized` tag if it has one, and `confirmations` only if it has none. */
  preferTag?: boolean | undefined;
}
