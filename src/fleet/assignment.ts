/** What a worker can be assigned to: one union, so that the compiler lists what a new use has to visit. */
import type { Address, JobId, Sha256 } from '../domain/ids';
import { never } from '../lib/errors';
import type { MasterMessageIn, Offer, WorkerMessage } from '../protocol/link';

/** The use a worker is put to, and who hears of the worker meanwhile. A worker has at most one assignment. */
export type Assignment = JobAssignment | ProbeAssignment | InferenceAssignment | RentalAssignment;

/** Training rounds of a job. */
export interface JobAssignment {
  kind: 'job';
  jobId: JobId;
  events: AssignmentEvents;
}

/** A measurement of the worker itself. */
export interface ProbeAssignment {
  kind: 'probe';
  probeId: string;
  events: AssignmentEvents;
}

/** Answering requests with a trained model, named by its manifest. */
export interface InferenceAssignment {
  kind: 'inference';
  model: Sha256;
  events: AssignmentEvents;
}

/** The whole box, let to a tenant. */
export interface RentalAssignment {
  kind: 'rental';
  rentalId: string;
  tenant: Address;
  events: AssignmentEvents;
}

/** Receives what happens to the workers of an assignment. */
export interface AssignmentEvents {
  /** The worker was assigned, or is connected again; `held` is the lease it still has. */
  onJoin(worker: Address, held: Offer['held']): void;
  onMessage(worker: Address, message: WorkerMessage): void;
  /** The worker disconnected; it stays assigned. */
  onAway(worker: Address): void;
  /**
   * The operator disconnected the worker, or it was taken for something else; it is no longer assigned.
   */
  onExpelled(worker: Address): void;
}

/**
 * Returns the message that ends an assignment on the worker's side; undefined where the link has none for its
 * kind.
 */
export function closingMessage(assignment: Assignment, reason: string): MasterMessageIn | undefined {
  switch (assignment.kind) {
    case 'job':
      return { type: 'job.close', jobId: assignment.jobId, reason };
    case 'probe':
      return { type: 'probe.close', probeId: assignment.probeId, reason };
    case 'inference':
    case 'rental':
      return undefined;
    default:
      return never(assignment);
  }
}

/** Returns whether an assignment gives way to any other: nobody waits for a probe. */
export function mayBeTaken({ kind }: Assignment): boolean {
  return kind === 'probe';
}
