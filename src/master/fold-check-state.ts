/** What a job remembers of the checks of its folds. */
import type { Sha256 } from '../domain/ids';
import type { RoundState } from './round-state';

/** Held-out sequences that a check looks at, at least. */
export const LEAST_SEQUENCES = 8;

/** A folded round, and the weights it produced. */
export interface FoldedRound {
  round: number;
  theta: Sha256;
}

/** A fold whose loss is to be measured. */
export interface PendingCheck {
  folded: FoldedRound;
  /** The round as it was folded; an earlier process took it along. */
  merged?: RoundState | undefined;
  isBegun: boolean;
  answer?: { loss: number | undefined } | undefined;
}

/** What a job knows of its checks. After a restart it measures the weights before the fold once more. */
export interface FoldCheckState {
  /** The last fold, until it is final; `answer` once its loss was measured. */
  pending?: PendingCheck | undefined;
  /** Losses of earlier folds on the same sequences, oldest first. */
  losses: number[];
  sequences: number;
  /** Bad folds in a row for which nobody was to blame. */
  badFolds: number;
}

export function openFoldCheck(): FoldCheckState {
  return { losses: [], sequences: LEAST_SEQUENCES, badFolds: 0 };
}
