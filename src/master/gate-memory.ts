/** What the gate remembers of a job's earlier updates. */
import type { Address, JobId, Sha256 } from '../domain/ids';
import type { UpdateFacts } from '../domain/update-rules';
import { inTurn } from '../lib/in-turn';
import type { RoundStore } from './ports';

export interface GateMemory {
  /** For every update that ever arrived, accepted or not, the piece of work it was for. */
  readonly seen: Map<Sha256, string>;
  readonly accepted: UpdateFacts[];
  /** Gains of accepted updates, in the order in which they came. */
  readonly acceptedGains: number[];
  /** By how much each worker's updates were of more use than they must be. */
  readonly margins: Map<Address, number[]>;
  /** Milliseconds that a whole inspection takes, and one of its use alone. */
  inspectMs: number;
  gainMs: number;
  /** Updates are judged one by one, so that the later of two knows the other. */
  readonly inTurn: ReturnType<typeof inTurn>;
}

/**
 * Names a piece of work. Training is deterministic, so a range that is leased again in its round may rightly
 * bring the same bytes again, from anybody.
 */
export function workName(lease: { start: number; end: number }, round: number): string {
  return `${round}:${lease.start}-${lease.end}`;
}

/** Opens the memory of a job; after a restart it knows the updates in the ledger, but no refused one. */
export async function openGateMemory(ledger: RoundStore['ledger'], jobId: JobId): Promise<GateMemory> {
  const seen = new Map<Sha256, string>();
  for (const lease of await ledger.listLeases(jobId)) {
    if (lease.work) seen.set(lease.work.update.sha256, workName(lease, lease.round));
  }
  return { seen, accepted: [], acceptedGains: [], margins: new Map(), inspectMs: 0, gainMs: 0, inTurn: inTurn() };
}
