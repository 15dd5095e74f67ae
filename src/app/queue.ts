/** A master's queue as commands read it: from the running master, or from its database. */
import { openAdminClient } from '../admin/client';
import type { JobId } from '../domain/ids';
import { systemClock } from '../lib/clock';
import { AppError, errorCode } from '../lib/errors';
import { describeJob, viewJob } from '../master/status';
import type { JobDetails, JobView } from '../protocol/admin';
import { openStore } from '../store/open';
import type { CommonOptions } from '../terminal/options';
import { loadRole } from './context';
import { storeOptions } from './role-settings';

export interface QueueOptions extends CommonOptions {
  url?: string | undefined;
}

/** A master's queue, as commands read it. */
export interface Queue extends AsyncDisposable {
  list(): Promise<JobView[]>;
  /** Throws `job/not-found`. */
  find(jobId: JobId): Promise<JobDetails>;
}

/** Asks the running master, which knows live figures; when none runs on this machine, reads its database. */
export async function openQueue(options: QueueOptions): Promise<Queue> {
  if (options.url) return remoteQueue(options.url);
  const context = loadRole('master', options);
  if (await isRunning(context.config.my_url)) return remoteQueue(context.config.my_url);
  return storedQueue(context.config, context.dataDir);
}

async function isRunning(url: string): Promise<boolean> {
  try {
    await openAdminClient(url).call('status');
    return true;
  } catch {
    return false;
  }
}

function remoteQueue(url: string): Queue {
  const admin = openAdminClient(url);
  return {
    list: () => admin.jobs(),
    find: (jobId) =>
      admin.job(jobId).catch((error) => {
        throw errorCode(error) === 'rpc/not-found' ? unknownJob(jobId, error) : error;
      }),
    async [Symbol.asyncDispose]() {},
  };
}

async function storedQueue(...[config, dataDir]: Parameters<typeof storeOptions>): Promise<Queue> {
  const store = await openStore(storeOptions(config, dataDir));
  // A master that does not run has no workers.
  const live = () => ({ workers: [], nowMs: systemClock.now() });
  return {
    async list() {
      const rows = await store.jobs.list({ limit: 1000 });
      return rows.map((row) => viewJob(row, live()));
    },
    async find(jobId) {
      const row = await store.jobs.find(jobId);
      if (!row) throw unknownJob(jobId);
      return describeJob(store, row, live());
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

function unknownJob(jobId: JobId, cause?: unknown): AppError {
  return new AppError({ code: 'job/not-found', jobId }, `No job ${jobId} is in this master's queue.`, { cause });
}
