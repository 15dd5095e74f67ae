/** The measurements of workers in the store. */
import type { Kysely } from 'kysely';
import type { Address } from '../domain/ids';
import { LAST_MEASUREMENTS, type Measurement } from '../domain/power';
import type { QueueTables } from './queue-schema';

/** Measurements kept of a worker and a source: those that count, and some to look at. */
const KEPT = 4 * LAST_MEASUREMENTS;

/** The latest measurements of each worker's speed. */
export class Measurements {
  constructor(private readonly db: Kysely<QueueTables>) {}

  async add({ worker, atMs, source, shape, gflops, isOk, detail }: Measurement): Promise<void> {
    await this.db
      .insertInto('measurements')
      .values({ worker, at_ms: atMs, source, shape, gflops, ok: isOk ? 1 : 0, detail: detail ?? null })
      .execute();
    await this.forgetOld(worker, source);
  }

  /** Lists the last measurements of a worker, oldest first: as many as count, and its last probe. */
  async recent(worker: Address): Promise<Measurement[]> {
    const all = this.db.selectFrom('measurements').selectAll().where('worker', '=', worker).orderBy('id', 'desc');
    const counting = await all.where('ok', '=', 1).limit(LAST_MEASUREMENTS).execute();
    const probes = await all.where('source', '=', 'probe').limit(1).execute();
    const rows = new Map([...counting, ...probes].map((row) => [row.id, row]));
    return [...rows.values()]
      .sort((a, b) => Number(a.id) - Number(b.id))
      .map((row) => ({
        worker,
        atMs: Number(row.at_ms),
        source: row.source === 'probe' ? 'probe' : 'round',
        shape: row.shape,
        gflops: row.gflops,
        isOk: row.ok === 1,
        detail: row.detail ?? undefined,
      }));
  }

  private async forgetOld(worker: Address, source: Measurement['source']): Promise<void> {
    const oldest = await this.db
      .selectFrom('measurements')
      .select('id')
      .where('worker', '=', worker)
      .where('source', '=', source)
      .orderBy('id', 'desc')
      .offset(KEPT)
      .limit(1)
      .executeTakeFirst();
    if (!oldest) return;
    await this.db
      .deleteFrom('measurements')
      .where('worker', '=', worker)
      .where('source', '=', source)
      .where('id', '<=', oldest.id)
      .execute();
  }
}
