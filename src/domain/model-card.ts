/** What a model card says of a job, as people write it. */
import { formatBytes } from '../lib/format-bytes';
import { type CurveRounds, lossCurve } from './loss-curve';

/** Of a finished job's manifest. */
export interface CardFacts extends CurveRounds {
  jobId: string;
  dataset: { sha256: string; bytes: number };
  base?: { reference: string; commit?: string | undefined } | undefined;
  rounds: readonly {
    leases: readonly { worker: string; tokens: number }[];
    validationLoss?: number | undefined;
  }[];
  audits: readonly { outcome: 'equal' | 'different' }[];
  missedAudits: readonly unknown[];
}

/** Returns the rows of the card's table, in order. */
export function describeModel(facts: CardFacts): Record<string, string> {
  const { jobId, dataset, base, rounds, audits, missedAudits, validationLoss } = facts;
  const workers = new Set(rounds.flatMap(({ leases }) => leases.map(({ worker }) => worker)));
  const tokens = lossCurve(facts).at(-1)?.tokens ?? 0;
  const { start, end } = validationLoss;
  return {
    job: jobId,
    'data set': `${formatBytes(dataset.bytes)}, sha256 ${dataset.sha256}`,
    ...(base && { base: [base.reference, base.commit && `commit ${base.commit}`].filter(Boolean).join(', ') }),
    'held-out loss': `${start.toFixed(4)} before, ${end.toFixed(4)} after (nats per token)`,
    perplexity: `${perplexity(start)} before, ${perplexity(end)} after`,
    'trained on': `${count(tokens, 'token')} in ${count(rounds.length, 'round')}, by ${count(workers.size, 'worker')}`,
    audits: describeAudits(audits, missedAudits.length),
  };
}

function describeAudits(audits: CardFacts['audits'], missed: number): string {
  const passed = audits.filter(({ outcome }) => outcome === 'equal').length;
  const parts = [`${passed} found the same work`, `${audits.length - passed} found other work`];
  return [...parts, ...(missed > 0 ? [`${missed} could not be done`] : [])].join(', ');
}

function perplexity(loss: number): string {
  return Math.exp(loss).toLocaleString('en', { maximumSignificantDigits: 4 });
}

function count(number: number, what: string): string {
  return `${number.toLocaleString('en')} ${what}${number === 1 ? '' : 's'}`;
}
