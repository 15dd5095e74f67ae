import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobId } from '../domain/ids';
import { describeError, errorCode } from '../lib/errors';
import type { MasterMessage, Offer } from '../protocol/link';
import { JobSession, type JobOpen, type SessionDeps, type SessionSettings } from './job-session';

export interface WorkerOptions extends Omit<SessionSettings, 'dir'> {
  dataDir: string;
}

export interface WorkerDeps extends SessionDeps {
  /** Keeps a receipt whose signature is the master's; says whether it was. */
  keepReceipt(message: Extract<MasterMessage, { type: 'receipt' }>): Promise<boolean>;
}

/** A worker's dealings with its master, whatever connection they come over. */
export interface Worker extends AsyncDisposable {
  onWelcome(): void;
  onMessage(message: MasterMessage): void;
  /** The lease we hold, for the next connection's offer. */
  held(): Offer['held'];
}

/** Answers the master's messages: one job at a time, in the order they come. */
export function openWorker(options: WorkerOptions, deps: WorkerDeps): Worker {
  const { logger } = deps;
  let session: { current: JobSession; opened: Promise<boolean> } | undefined;

  async function openJob(job: JobOpen): Promise<void> {
    if (session?.current.jobId !== job.jobId) {
      await closeJob();
      const dir = join(options.dataDir, 'jobs', job.jobId);
      await mkdir(dir, { recursive: true });
      const current = new JobSession(job, { ...options, dir }, deps);
      session = { current, opened: tryOpen(current) };
      logger.info('Job opened', { jobId: job.jobId });
    }
    if (await session?.opened) deps.send({ type: 'job.ready', jobId: job.jobId });
  }

  async function tryOpen(current: JobSession): Promise<boolean> {
    try {
      await current.open();
      return true;
    } catch (error) {
      logger.error('Job cannot be opened', { jobId: current.jobId }, error);
      const reason = describeError(error).slice(0, 500);
      deps.send({ type: 'job.failed', jobId: current.jobId, code: errorCode(error).slice(0, 60), reason });
      if (session?.current === current) session = undefined;
      await current[Symbol.asyncDispose]();
      return false;
    }
  }

  async function closeJob(jobId?: JobId): Promise<void> {
    const closing = session?.current;
    if (!closing || (jobId !== undefined && closing.jobId !== jobId)) return;
    session = undefined;
    await closing[Symbol.asyncDispose]();
    logger.info('Job closed', { jobId: closing.jobId });
  }

  function onMessage(message: MasterMessage): void {
    const current = session?.current;
    switch (message.type) {
      case 'job.open':
        return run(openJob(message));
      case 'job.close':
        return run(closeJob(message.jobId));
      case 'lease.grant':
        if (current?.jobId === message.jobId) run(current.accept(message));
        else deps.send({ type: 'lease.failed', leaseId: message.leaseId, code: 'worker/no-job', reason: 'the job is not open here' });
        return;
      case 'lease.revoke':
        return current?.revoke(message.leaseId, message.reason);
      case 'update.verdict':
        return current?.onVerdict(message.leaseId, message.accepted, message.reason);
      case 'receipt':
        return run(deps.keepReceipt(message).then((isGenuine) => onReceipt(message, isGenuine)));
      default: // handshake, heartbeats and transfers are the link's own
    }
  }

  function onReceipt({ receipt }: Extract<MasterMessage, { type: 'receipt' }>, isGenuine: boolean): void {
    const { jobId, round, tokens, totalTokens, expectedWei } = receipt;
    if (isGenuine) logger.info('Receipt', { jobId, round, tokens, totalTokens, expectedWei });
    else logger.warn('Receipt is not signed by the master', { jobId, round });
  }

  function run(work: Promise<unknown>): void {
    work.catch((error) => logger.error('Worker step failed', {}, error));
  }

  return {
    onWelcome: () => session?.current.resend(),
    onMessage,
    held: () => session?.current.held(),
    [Symbol.asyncDispose]: () => closeJob(),
  };
}
