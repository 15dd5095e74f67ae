/** Submitted jobs that a verifier has still to read from the chain: none is forgotten. */
import type { JobId } from '../domain/ids';
import type { Logger } from '../lib/logger';

/** Hands each job on once, as soon as the chain describes it. */
export class DueJobs {
  private readonly due = new Set<JobId>();

  /** `handOn` reads a job from the chain and passes it on, if it still awaits a verdict. */
  constructor(private readonly deps: { handOn(jobId: JobId): Promise<void>; logger: Logger }) {}

  add(jobId: JobId): void {
    this.due.add(jobId);
  }

  /** Tries each job once; those that fail stay due. */
  async look(): Promise<void> {
    const { handOn, logger } = this.deps;
    for (const jobId of this.due) {
      await handOn(jobId).then(
        () => this.due.delete(jobId),
        (error) => logger.warn('Submitted job cannot be read; trying again', { jobId }, error),
      );
    }
  }
}
