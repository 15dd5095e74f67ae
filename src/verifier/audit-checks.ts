/** Checks of a manifest's audits: that draws, refuted leases and ordinals follow from the rules. */
import { type AuditableLease, hashSeed, isComparable, isDrawn, leaseKey, reportAudits } from '../domain/audit';
import type { Manifest } from '../protocol/manifest';
import { auditable } from '../replay/audited';

/** Returns what is wrong with the audits, as a sentence; undefined if nothing is. */
export function findAuditProblem(manifest: Manifest): string | undefined {
  const { auditSeed, audits, rounds, node } = manifest;
  if (hashSeed(auditSeed.seed) !== auditSeed.hash) return 'the audit seed does not have the hash that is named';
  const leases = auditable(rounds);
  return (
    findWrongAudit(leases, audits) ??
    findWrongDraw(manifest, leases) ??
    findWrongOrdinal(rounds) ??
    findWrongRefutation(manifest, reportAudits(leases, audits, node).refuted)
  );
}

/** Each audit is of a merged lease, by somebody else, and names all of its tokens. */
function findWrongAudit(leases: readonly AuditableLease[], audits: Manifest['audits']): string | undefined {
  const byKey = new Map(leases.map((lease) => [leaseKey(lease), lease]));
  const seen = new Set<string>();
  for (const audit of audits) {
    const key = leaseKey(audit);
    const lease = byKey.get(key);
    const name = `the audit of round ${audit.round} at block ${audit.start}`;
    if (!lease) return `${name} is of no merged lease`;
    if (lease.worker === audit.auditor) return `${name} was done by the worker of the lease itself`;
    if (lease.tokens !== audit.tokens) return `${name} claims ${audit.tokens} tokens`;
    if (seen.has(`${key} ${audit.auditor}`)) return `${name} is named twice for one auditor`;
    seen.add(`${key} ${audit.auditor}`);
  }
  return undefined;
}

/** No lease that the seed draws is passed over in silence. */
function findWrongDraw(manifest: Manifest, leases: readonly AuditableLease[]): string | undefined {
  const { jobId, auditSeed, params, audits } = manifest;
  if (!isComparable(params)) return undefined;
  const drawn = leases.filter((lease) => isDrawn(auditSeed.seed, { jobId, ...lease }, params.audit.rate));
  const named = new Set([...audits, ...manifest.missedAudits].map(leaseKey));
  const silent = drawn.find((lease) => !named.has(leaseKey(lease)));
  if (silent) return `the drawn lease of round ${silent.round} at block ${silent.start} was not audited`;
  const done = new Set(audits.map(leaseKey));
  const both = manifest.missedAudits.find((missed) => done.has(leaseKey(missed)));
  return both && `the audit of round ${both.round} at block ${both.start} is both done and missed`;
}

/** A worker's ordinals rise from lease to lease; they leave gaps where it worked for other jobs meanwhile. */
function findWrongOrdinal(rounds: Manifest['rounds']): string | undefined {
  const last = new Map<string, number>();
  for (const { round, leases } of rounds) {
    for (const { worker, ordinal, start } of [...leases].sort((a, b) => a.start - b.start)) {
      if (ordinal <= (last.get(worker) ?? 0)) return `the ordinal of round ${round} at block ${start} does not rise`;
      last.set(worker, ordinal);
    }
  }
  return undefined;
}

function findWrongRefutation({ rounds }: Manifest, refuted: ReadonlySet<string>): string | undefined {
  for (const { round, leases } of rounds) {
    const wrong = leases.find(({ start, isRefuted }) => isRefuted !== refuted.has(leaseKey({ round, start })));
    if (wrong)
      return `whether the lease of round ${round} at block ${wrong.start} is paid does not follow from the audits`;
  }
  return undefined;
}
