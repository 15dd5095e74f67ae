/** What a manifest's audits say of its leases. */
import { type AuditableLease, reportAudits } from '../domain/audit';
import type { Manifest } from '../protocol/manifest';

/** Lists a manifest's leases as the rules of audits see them. */
export function auditable(rounds: Manifest['rounds']): AuditableLease[] {
  return rounds.flatMap(({ round, leases }) =>
    leases.map(({ worker, start, tokens, ordinal }) => ({ worker, round, start, tokens, ordinal })),
  );
}

/** Returns the keys of the leases that an audit refuted, rather than another lease of their worker. */
export function failedLeases({ rounds, audits, node }: Manifest): Set<string> {
  const { findings } = reportAudits(auditable(rounds), audits, node);
  return new Set([...findings].filter(([, finding]) => finding === 'failed').map(([key]) => key));
}
