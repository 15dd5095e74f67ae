/** What a rejection says: its evidence, and the reason on chain that binds it. */
import { canonicalJson, sha256 } from '../lib/hash';
import type { Evidence } from '../protocol/evidence';
import type { Difference } from '../replay/difference';
import type { Flaw, SubmittedJob } from './manifest-checks';

/** Why a result is rejected, with the place of the flaw where a replay found it. */
export type Rejection = Flaw & Partial<Difference>;

/** Returns the evidence as canonical JSON: the same from every verifier that finds the same. */
export function evidenceOf(job: SubmittedJob, { code, reason, round, lease, expected, got }: Rejection): string {
  const evidence: Evidence = {
    format: 'emeth-evidence-1',
    chainId: job.chainId,
    contract: job.contract,
    jobId: job.jobId,
    manifest: job.resultHash.slice(2),
    code,
    reason,
    round,
    lease,
    expected,
    got,
    repeat: `emeth replay ${job.jobId} --evidence <this file>`,
  };
  return canonicalJson(evidence);
}

/** Returns the reason on chain (bytes16): the beginning of the sha256 of the evidence. */
export function reasonHashOf(evidence: string): string {
  return `0x${sha256(evidence).slice(0, 32)}`;
}
