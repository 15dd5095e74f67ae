/** Whether a fold made the model worse, and whose update it was: pure rules over losses. */

/** A loss may rise by this much, in nats per token, without anything being wrong. */
const SLACK = 0.05;
/** A rise above so many times the usual change of a round is not noise. */
const UNUSUAL = 4;
/** The part of a round's time that a check may take. */
const PART = 0.03;
/** How many earlier losses the usual change is taken from. */
const MEMORY = 9;

/**
 * True when a loss is not finite, or worse than the best of the last three by more than noise explains.
 * `earlier` are losses of earlier folds on the same sequences, oldest first.
 */
export function isBadFold(loss: number, earlier: readonly number[]): boolean {
  if (!Number.isFinite(loss)) return true;
  const known = earlier.filter(Number.isFinite).slice(-MEMORY);
  if (known.length === 0) return false;
  const best = Math.min(...known.slice(-3));
  const changes = known.slice(1).map((value, i) => Math.abs(value - (known[i] ?? value)));
  return loss > best + Math.max(SLACK, UNUSUAL * median(changes));
}

/** How many of the last folds show whether a job still learns. */
const LAST_FOLDS = 5;

/**
 * True when the last folds brought nothing beyond noise: then honest work may well be of no measurable use.
 * `losses` are those of all folds so far, oldest first.
 */
export function isFlat(losses: readonly number[]): boolean {
  const [before, last] = [losses.slice(0, -LAST_FOLDS), losses.slice(-LAST_FOLDS)];
  return before.length > 0 && Math.min(...last) > Math.min(...before) - SLACK;
}

/** What is kept of a fold's check. */
interface StoredCheck {
  validationLoss?: number | undefined;
  resetsOuter: boolean;
}

/**
 * Returns the losses of earlier folds, oldest first, for a process that has measured only the last: as far
 * apart as they were when they were stored. A bad fold that was let stand is left out.
 */
export function recallLosses(measured: number, stored: readonly StoredCheck[]): number[] {
  const shift = measured - (stored.at(-1)?.validationLoss ?? Number.NaN);
  const earlier = stored.slice(0, -1).flatMap(({ validationLoss, resetsOuter }) => {
    return validationLoss === undefined || resetsOuter ? [] : [validationLoss + shift];
  });
  return [...earlier.filter(Number.isFinite), measured];
}

/**
 * Finds which of `count` updates made a fold bad, by folding again without each in turn: leaves out the one
 * whose absence helps most, until the rest is good. Empty when that takes more than half of the updates, as
 * then they are not to blame. `measure` returns the loss of a fold of the updates kept.
 */
export async function findCulprits(
  count: number,
  measure: (kept: readonly number[]) => Promise<number>,
  isBad: (loss: number) => boolean,
): Promise<number[]> {
  let kept = Array.from({ length: count }, (_, i) => i);
  const culprits: number[] = [];
  while (2 * (culprits.length + 1) <= count && kept.length > 1) {
    let best: { culprit: number; loss: number } | undefined;
    for (const culprit of kept) {
      const loss = await measure(kept.filter((i) => i !== culprit));
      if (!best || loss < best.loss || Number.isNaN(best.loss)) best = { culprit, loss };
    }
    if (!best) break;
    const { culprit, loss } = best;
    culprits.push(culprit);
    kept = kept.filter((i) => i !== culprit);
    if (!isBad(loss)) return culprits;
  }
  return [];
}

/** How many held-out sequences a check may take: at most 3 % of a round's time, within the limits. */
export function checkSequences(options: { roundMs: number; sequenceMs: number; least: number; most: number }): number {
  const { roundMs, sequenceMs, least, most } = options;
  const affordable = sequenceMs > 0 ? Math.floor((PART * roundMs) / sequenceMs) : most;
  return Math.max(least, Math.min(most, affordable));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
