/** The table group of the queue: everything a master or verifier remembers of its jobs. */
import { Audits } from './audits';
import { Claims } from './claims';
import { Cursors } from './cursors';
import { DeploymentNote } from './deployment';
import { Intents } from './intents';
import { Jobs } from './jobs';
import { Ledger } from './ledger';
import { Measurements } from './measurements';
import * as queue from './migrations/0001-queue';
import * as trust from './migrations/0004-trust';
import * as patience from './migrations/0006-patience';
import * as claims from './migrations/0007-claims';
import * as deployment from './migrations/0009-deployment';
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
    deployment: true,
  },
  migrations: {
    '0001-queue': queue.up,
    '0004-trust': trust.up,
    '0006-patience': patience.up,
    '0007-claims': claims.up,
    '0009-deployment': deployment.up,
  },
  open(untyped, clock, claimant) {
    const db = untyped.withTables<QueueTables>();
    return {
      jobs: new Jobs(db, clock, claimant),
      ledger: new Ledger(db, clock, claimant),
      rounds: new Rounds(db, clock, claimant),
      claims: new Claims(db, clock, claimant),
      audits: new Audits(db, clock),
      workers: new Workers(db, clock),
      measurements: new Measurements(db),
      cursors: new Cursors(db),
      intents: new Intents(db, clock),
      deployment: new DeploymentNote(db),
    };
  },
} satisfies TableGroup<QueueTables>;
