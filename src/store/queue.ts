/** The table group of the queue: everything a master or verifier remembers of its jobs. */
import { Audits } from './audits';
import { Cursors } from './cursors';
import { Intents } from './intents';
import { Jobs } from './jobs';
import { Ledger } from './ledger';
import { Measurements } from './measurements';
import * as queue from './migrations/0001-queue';
import * as trust from './migrations/0004-trust';
import * as patience from './migrations/0006-patience';
import type { QueueTables } from './queue-schema';
import { Rounds } from './rounds';
import type { TableGroup } from './table-group';
import { Workers } from './workers';

export const queueTables = {
  tables: {
    jobs: true,
    job_events: true,
    ledger: true,
    leases: true,
    rounds: true,
    receipts: true,
    audits: true,
    workers: true,
    measurements: true,
    cursors: true,
    intents: true,
  },
  migrations: { '0001-queue': queue.up, '0004-trust': trust.up, '0006-patience': patience.up },
  open(untyped, clock) {
    const db = untyped.withTables<QueueTables>();
    return {
      jobs: new Jobs(db, clock),
      ledger: new Ledger(db, clock),
      rounds: new Rounds(db, clock),
      audits: new Audits(db, clock),
      workers: new Workers(db, clock),
      measurements: new Measurements(db),
      cursors: new Cursors(db),
      intents: new Intents(db, clock),
    };
  },
} satisfies TableGroup<QueueTables>;
