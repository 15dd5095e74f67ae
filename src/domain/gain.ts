/** Whether training was of use: the rule by which a result is accepted. */

/** True when the held-out loss fell by more than the job asks for. */
export function hasGained({ start, end }: { start: number; end: number }, { minGain }: { minGain: number }): boolean {
  return end < start - minGain;
}
