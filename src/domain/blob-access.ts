/** Who may read which blob of a job over HTTP: the rule of the storage API. */
import type { ChainState } from './job';

/**
 * What a blob is to a job. `data`: the data set of its request. `work`: what its manifest names, such as
 * shards, updates, weights and the model; also a result that is no manifest. `record`: its manifest, and
 * the evidence against its result, which hold hashes, figures and pay but no data.
 */
export type BlobRole = 'data' | 'work' | 'record';

/** What an account is to a job. `activeNode`: one that may take jobs, and has not taken this one. */
export type ReaderRole = 'requester' | 'node' | 'verifier' | 'activeNode' | 'stranger';

/** A question to read one blob as a part of one job. */
export interface ReadCase {
  state: ChainState;
  /** Whether the job's present window is over; an open job that nobody took in time is open no more. */
  isLate: boolean;
  /** Whether its requester lets everybody read it. */
  isPublic: boolean;
  reader: ReaderRole;
  /** Undefined for a blob that the job does not name. */
  blob?: NamedBlob | undefined;
}

export interface NamedBlob {
  role: BlobRole;
  /**
   * Whether whoever named the blob has it: the requester for data, the node for work. A name is public, and
   * naming another's blob in a job of one's own must not open it.
   */
  isHeld: boolean;
}

/** `absent`: the reader may know all of this job, and the blob is not of it. */
export type ReadDecision = 'served' | 'refused' | 'absent';

/** Decides whether a reader who has not uploaded the blob itself gets it. */
export function judgeRead({ state, isLate, isPublic, reader, blob }: ReadCase): ReadDecision {
  if (blob?.role === 'record') return 'served';
  const isOpen = state === 'REQUESTED' && !isLate;
  const isParty = reader === 'requester' || reader === 'node' || reader === 'verifier';
  // A node checks the data before it takes the job; there is nothing else of an open job that concerns it.
  const mayTakeIt = reader === 'activeNode' && isOpen && blob?.role === 'data';
  if (!isPublic && !isParty && !mayTakeIt) return 'refused';
  return blob?.isHeld ? 'served' : 'absent';
}
