/** Migration 6: when a job that was not taken is considered again, and which jobs a node has on chain. */
import type { Kysely } from 'kysely';
import { unlessThere } from '../unless-there';

/** The columns that a statement of this migration reads or writes. */
interface After {
  jobs: { state: string; look_at_ms: number | null };
}

export async function up(db: Kysely<After>): Promise<void> {
  await unlessThere(db.schema.alterTable('jobs').addColumn('look_at_ms', 'bigint').execute());
  const indexes = [
    ['jobs_by_look', ['state', 'look_at_ms']],
    ['jobs_by_node', ['node', 'chain_state']],
  ] as const;
  for (const [name, columns] of indexes) {
    await unlessThere(
      db.schema
        .createIndex(name)
        .on('jobs')
        .columns([...columns])
        .execute(),
    );
  }
  // Nobody knows any more why these were not taken: each is considered once more.
  await db.updateTable('jobs').set({ look_at_ms: 0 }).where('state', '=', 'skipped').execute();
}
