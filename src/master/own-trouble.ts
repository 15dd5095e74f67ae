/** Trouble of this process in the middle of a round: what its workers have done must not be lost by it. */
import { errorCode } from '../lib/errors';
import { Trouble } from '../lib/trouble';
import type { JobContext } from './job-context';
import type { JobEvent } from './job-events';

/** Failures that are not this process's: of a connection, of what came over it, or of a wrong call. */
const NOT_OURS = /^(link\/|blobs\/hash-mismatch$|blobs\/too-large$|runner\/|store\/|unknown$)/;

/** True for what passes by itself, so that the same is worth doing again. */
function isPassing(error: unknown): boolean {
  return !NOT_OURS.test(errorCode(error));
}

/** Does some work again until this process's trouble is over; others' failures are thrown at once. */
export async function patiently<T>(job: JobContext, name: string, work: () => Promise<T>): Promise<T> {
  const { clock, logger } = job.deps;
  const trouble = new Trouble(name);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (job.signal.aborted || !isPassing(error)) throw error;
      if (trouble.note(error, clock.now())) logger.warn('An update waits for this master', { of: name }, error);
      await clock.sleep(trouble.pauseMs(), job.signal);
    }
  }
}

/** Handles an event, which is the next again when trouble of this process comes between. */
export async function keepEvent(job: JobContext, event: JobEvent, handle: () => Promise<void>): Promise<void> {
  try {
    await handle();
  } catch (error) {
    if (!job.signal.aborted && isPassing(error)) job.mailbox.putBack(event);
    throw error;
  }
}
