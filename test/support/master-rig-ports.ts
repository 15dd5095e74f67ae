/** The simple ports of a master under test: storage, log, store and clock of one process. */

import type { BlobStore } from '../../src/blobs/blob-store';
import type { Clock } from '../../src/lib/clock';
import { describeError } from '../../src/lib/errors';
import type { Logger } from '../../src/lib/logger';
import type { MasterStorage } from '../../src/master/ports';
import type { Store } from '../../src/store/open';
import type { Lifetime } from './master-rig-faults';
import { noBases } from './no-bases';

const DATA = Buffer.from('Call me Ishmael. '.repeat(40));

/** A storage with one data set; what is published must be in the blob store. */
export function playedStorage(blobs: BlobStore, published: string[]): MasterStorage {
  return {
    size: async () => DATA.length,
    ...noBases,
    async fetch(_reference, signal) {
      signal.throwIfAborted();
      return blobs.addBytes(DATA);
    },
    async publish(names, signal) {
      signal.throwIfAborted();
      for (const name of names) {
        if (!(await blobs.stat(name))) throw new Error(`Blob ${name} is not there to be published`);
      }
      published.push(...names);
    },
  };
}

/** Keeps the lines of one process, as long as it lives. */
export function keepLines(life: Lifetime, lines: string[], errors: string[]): Logger {
  const write = (level: string) => (message: string, fields?: object, error?: unknown) => {
    if (life.isOver) return;
    const facts = JSON.stringify({ ...fields, ...(error === undefined ? {} : { error: describeError(error) }) });
    const line = `${level} ${message} ${facts}`;
    lines.push(line);
    if (level === 'error') errors.push(line);
  };
  const logger: Logger = {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: () => logger,
  };
  return logger;
}

/** The clock of one process: when it is killed its sleepers are gone. */
export function clockOf(clock: Clock, life: Lifetime): Clock {
  return {
    now: () => clock.now(),
    sleep: (ms, signal) => clock.sleep(ms, signal ? AbortSignal.any([signal, life.signal]) : life.signal),
  };
}

/** Every table of the store, through which one process alone goes. */
export function guardStore(store: Store, life: Lifetime): Store {
  return {
    jobs: life.guard('jobs', store.jobs),
    ledger: life.guard('ledger', store.ledger),
    rounds: life.guard('rounds', store.rounds),
    claims: life.guard('claims', store.claims),
    deployment: life.guard('deployment', store.deployment),
    audits: life.guard('audits', store.audits),
    workers: life.guard('workers', store.workers),
    measurements: life.guard('measurements', store.measurements),
    cursors: life.guard('cursors', store.cursors),
    intents: life.guard('intents', store.intents),
    board: life.guard('board', store.board),
    attestations: life.guard('attestations', store.attestations),
    evidenceRequests: life.guard('evidenceRequests', store.evidenceRequests),
    storedBlobs: life.guard('storedBlobs', store.storedBlobs),
    storageNeeds: life.guard('storageNeeds', store.storageNeeds),
    blobHolders: life.guard('blobHolders', store.blobHolders),
    transaction: life.guard('store', store).transaction,
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
