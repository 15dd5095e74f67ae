/** Migration 5: what verifiers put at a storage about the results of jobs. */
import type { CreateTableBuilder, Kysely } from 'kysely';
import type { ColumnTypes } from '../column-types';

const jobId = 'varchar(34)';
const address = 'varchar(42)';
const signature = 'varchar(132)';

export async function up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const table = (name: string) => types.finish(db.schema.createTable(name).ifNotExists() as CreateTableBuilder<string>);

  await table('attestations')
    .addColumn('job_id', jobId, (c) => c.notNull())
    .addColumn('commitment', 'varchar(42)', (c) => c.notNull())
    .addColumn('verifier', address, (c) => c.notNull())
    .addColumn('is_accepted', 'integer', (c) => c.notNull())
    .addColumn('reason_hash', 'varchar(34)')
    .addColumn('signature', signature, (c) => c.notNull())
    .addPrimaryKeyConstraint('attestations_pk', ['job_id', 'commitment', 'verifier', 'is_accepted'])
    .execute();
  await table('evidence_requests')
    .addColumn('job_id', jobId, (c) => c.notNull())
    .addColumn('verifier', address, (c) => c.notNull())
    .addColumn('reference', types.longText, (c) => c.notNull())
    .addColumn('at_ms', 'bigint', (c) => c.notNull())
    .addColumn('signature', signature, (c) => c.notNull())
    .addPrimaryKeyConstraint('evidence_requests_pk', ['job_id', 'verifier'])
    .execute();
}
