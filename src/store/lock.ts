/** The lock of a data directory: one process at a time works in it. */
import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Clock } from '../lib/clock';
import { AppError, errorCode } from '../lib/errors';
import type { Claimant } from './claimant';
import { explainSqlite } from './sqlite';

export type LockError =
  | { code: 'store/locked'; dir: string; holder: string }
  | { code: 'store/lock-lost'; dir: string };

/** A data directory that no other process works in meanwhile. */
export interface DirLock extends AsyncDisposable {
  /** Under which this process claims jobs: the directory's own name, and one for the process. */
  readonly claimant: Claimant;
  /**
   * Watches the lock until the signal. Throws `store/lock-lost` when its file is gone: another process could
   * then take the directory too.
   */
  keep(signal: AbortSignal): Promise<void>;
}

const CHECK_MS = 1000;

/**
 * Takes a data directory, which must exist. Throws `store/locked` when another process has it. The lock is
 * SQLite's lock on a file: the operating system gives it back the moment its holder is dead, however it died,
 * and sees holders in other containers too, where process ids mean nothing.
 */
export async function lockDataDir(dir: string, clock: Clock): Promise<DirLock> {
  const path = join(dir, 'lock.sqlite');
  const { database, name } = takeLock(path, dir);
  const { dev, ino } = await stat(path);
  const isThere = async () => {
    const now = await stat(path).catch((error) => {
      if (errorCode(error) !== 'ENOENT') throw error;
    });
    return now?.ino === ino && now.dev === dev;
  };
  return {
    claimant: `${name}.${randomBytes(8).toString('hex')}`,
    async keep(signal) {
      while (!signal.aborted) {
        if (!(await isThere())) {
          throw new AppError<LockError>(
            { code: 'store/lock-lost', dir },
            `The data directory ${dir} was moved or replaced while this process worked in it; put it back and start again.`,
          );
        }
        await clock.sleep(CHECK_MS, signal).catch(() => undefined);
      }
    },
    async [Symbol.asyncDispose]() {
      database.close();
    },
  };
}

/** Opens the file whose lock this process holds until it closes it or ends; and the directory's name. */
function takeLock(path: string, dir: string): { database: Database.Database; name: string } {
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { timeout: 0 });
    database.exec('begin immediate; create table if not exists holder (name text); delete from holder');
    database.prepare('insert into holder values (?)').run(`process ${process.pid} on ${hostname()}`);
    // Others can read the name once it is committed; whoever then locks first has the directory.
    const name = nameOf(database);
    database.exec('commit; begin immediate');
    return { database, name };
  } catch (error) {
    const holder = database && errorCode(error) === 'SQLITE_BUSY' ? readHolder(database) : undefined;
    database?.close();
    if (holder === undefined) throw explainSqlite(error, path);
    throw new AppError<LockError>(
      { code: 'store/locked', dir, holder },
      `Another process (${holder}) works in ${dir}; end it, or give this one its own --data-dir.`,
      { cause: error },
    );
  }
}

/** A random name that the directory keeps. */
function nameOf(database: Database.Database): string {
  database.exec('create table if not exists directory (name text)');
  const known = database.prepare('select name from directory').get() as { name: string } | undefined;
  if (known) return known.name;
  const name = randomBytes(8).toString('hex');
  database.prepare('insert into directory values (?)').run(name);
  return name;
}

function readHolder(database: Database.Database): string {
  try {
    const row = database.prepare('select name from holder').get() as { name: string } | undefined;
    return row?.name ?? 'unknown';
  } catch {
    return 'unknown'; // It is only just writing its name.
  }
}
