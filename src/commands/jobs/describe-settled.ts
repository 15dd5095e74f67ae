/** The values that a job is trained with where its request may leave them open, in a line for people. */
import type { JobDetails } from '../../protocol/admin';

/** Returns them with the names of their parameters. */
export function describeSettled({ round, inner, outer, codec, codecWhy }: NonNullable<JobDetails['settled']>): string {
  const muon = inner.optimiser === 'muon' ? `inner.muonLr ${inner.muonLr}, ` : '';
  const rates = `${inner.optimiser}, ${muon}inner.lr ${inner.lr}, outer.lr ${outer.lr}, outer.momentum ${outer.momentum}`;
  const why = codecWhy === undefined ? '' : ` (${codecWhy})`;
  return `round.steps ${round.steps}, ${rates}, codec ${codec}${why}`;
}
