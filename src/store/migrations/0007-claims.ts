/** Migration 7: which process works on a job, and when it last said so. */
import type { Kysely } from 'kysely';
import { unlessThere } from '../unless-there';

export async function up(db: Kysely<unknown>): Promise<void> {
  await unlessThere(db.schema.alterTable('jobs').addColumn('claimed_by', 'varchar(64)').execute());
  await unlessThere(db.schema.alterTable('jobs').addColumn('beat_at_ms', 'bigint').execute());
  await unlessThere(db.schema.createIndex('jobs_by_claim').on('jobs').columns(['claimed_by']).execute());
}
