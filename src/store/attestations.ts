/** What verifiers put at a storage: their attestations of results, and their requests for evidence. */
import type { Insertable, Kysely } from 'kysely';
import type { JobId } from '../domain/ids';
import { EvidenceRequest, SignedAttestation } from '../protocol/storage';
import type { Nullable } from './columns';
import * as attestations from './migrations/0005-attestations';
import { isDuplicate } from './statements';
import type { TableGroup } from './table-group';

interface AttestationsTable {
  job_id: string;
  commitment: string;
  verifier: string;
  is_accepted: number;
  reason_hash: Nullable<string>;
  signature: string;
}

interface EvidenceRequestsTable {
  job_id: string;
  verifier: string;
  reference: string;
  at_ms: number;
  signature: string;
}

type AttestationTables = { attestations: AttestationsTable; evidence_requests: EvidenceRequestsTable };

/** The table group of what verifiers say about results. */
export const attestationTables = {
  tables: { attestations: true, evidence_requests: true },
  migrations: { '0005-attestations': attestations.up },
  open(untyped) {
    const db = untyped.withTables<AttestationTables>();
    return { attestations: new Attestations(db), evidenceRequests: new EvidenceRequests(db) };
  },
} satisfies TableGroup<AttestationTables>;

/** Attestations by job; of each verifier one for a result and one against it, the latest. */
export class Attestations {
  constructor(private readonly db: Kysely<AttestationTables>) {}

  async put(jobId: JobId, { commitment, verifier, verdict, signature }: SignedAttestation): Promise<void> {
    const key = { job_id: jobId, commitment, verifier, is_accepted: Number(verdict.accepted) };
    const values = { reason_hash: verdict.accepted ? null : verdict.reasonHash, signature };
    await this.db
      .insertInto('attestations')
      .values({ ...key, ...values } satisfies Insertable<AttestationsTable>)
      .execute()
      .catch(async (error: unknown) => {
        if (!isDuplicate(error)) throw error;
        const update = this.db.updateTable('attestations').set(values).where('job_id', '=', jobId);
        await update
          .where('commitment', '=', commitment)
          .where('verifier', '=', verifier)
          .where('is_accepted', '=', key.is_accepted)
          .execute();
      });
  }

  /** Returns the job's attestations, by verifier. */
  async list(jobId: JobId): Promise<SignedAttestation[]> {
    const rows = await this.db
      .selectFrom('attestations')
      .selectAll()
      .where('job_id', '=', jobId)
      .orderBy('verifier')
      .orderBy('is_accepted')
      .execute();
    return rows.map(({ commitment, verifier, is_accepted, reason_hash, signature }) => {
      const verdict = is_accepted === 1 ? { accepted: true } : { accepted: false, reasonHash: reason_hash };
      return SignedAttestation.parse({ commitment, verifier, verdict, signature });
    });
  }
}

/** Requests for evidence by job, of each verifier the latest. */
export class EvidenceRequests {
  constructor(private readonly db: Kysely<AttestationTables>) {}

  /** Stores the request; one older than the verifier's last changes nothing. */
  async put(jobId: JobId, { verifier, reference, atMs, signature }: EvidenceRequest): Promise<void> {
    const values = { reference, at_ms: atMs, signature };
    await this.db
      .insertInto('evidence_requests')
      .values({ job_id: jobId, verifier, ...values })
      .execute()
      .catch(async (error: unknown) => {
        if (!isDuplicate(error)) throw error;
        const update = this.db.updateTable('evidence_requests').set(values).where('job_id', '=', jobId);
        await update.where('verifier', '=', verifier).where('at_ms', '<', atMs).execute();
      });
  }

  /** Returns the job's requests, by verifier. */
  async list(jobId: JobId): Promise<EvidenceRequest[]> {
    const rows = await this.db
      .selectFrom('evidence_requests')
      .selectAll()
      .where('job_id', '=', jobId)
      .orderBy('verifier')
      .execute();
    return rows.map(({ verifier, reference, at_ms, signature }) =>
      EvidenceRequest.parse({ verifier, reference, atMs: at_ms, signature }),
    );
  }
}
