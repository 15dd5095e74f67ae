/** The held-out loss over the tokens trained on: what a model card draws, and a verifier draws again. */

/** Of a finished job's rounds, as its manifest has them. */
export interface CurveRounds {
  rounds: readonly {
    leases: readonly { tokens: number }[];
    validationLoss?: number | undefined;
  }[];
  validationLoss: { start: number; end: number };
}

export interface CurvePoint {
  tokens: number;
  loss: number;
}

/** Returns the loss before, after each round that was measured, and at the end. */
export function lossCurve({ rounds, validationLoss: { start, end } }: CurveRounds): CurvePoint[] {
  const points: CurvePoint[] = [{ tokens: 0, loss: start }];
  let tokens = 0;
  rounds.forEach(({ leases, validationLoss }, i) => {
    tokens += leases.reduce((sum, lease) => sum + lease.tokens, 0);
    const loss = i === rounds.length - 1 ? end : validationLoss;
    if (loss !== undefined) points.push({ tokens, loss });
  });
  return points;
}
