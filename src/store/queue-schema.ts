/** The queue's tables, as Kysely sees them: jobs, their training and what a master remembers. */
import type { Generated } from 'kysely';
import type { Nullable } from './columns';

export interface JobsTable {
  id: string;
  requester: string;
  dataset: string;
  params: string;
  fee_wei: string;
  fuel_limit: string;
  deadline_ms: number;
  requested_block: number;
  chain_state: string;
  node: Nullable<string>;
  state: string;
  owner: Nullable<string>;
  reason: Nullable<string>;
  plan_json: Nullable<string>;
  result_json: Nullable<string>;
  /** When a skipped job is considered again; null: not before somebody says so. */
  look_at_ms: Nullable<number>;
  created_at_ms: number;
  updated_at_ms: number;
  /** The process that works on the job; null while none does. */
  claimed_by: Nullable<string>;
  /** When that process last said so, by the database's clock. */
  beat_at_ms: Nullable<number>;
}

export interface JobEventsTable {
  id: Generated<number>;
  job_id: string;
  state: string;
  reason: Nullable<string>;
  at_ms: number;
}

/** A range of positions; the ranges of a job are exactly [0, total). */
export interface LedgerTable {
  job_id: string;
  start_pos: number;
  end_pos: number;
  state: string;
  lease_id: Nullable<string>;
  round: Nullable<number>;
}

export interface LeasesTable {
  id: string;
  job_id: string;
  round: number;
  worker: string;
  start_pos: number;
  end_pos: number;
  state: string;
  granted_at_ms: number;
  expires_at_ms: number;
  shard: Nullable<string>;
  update_sha256: Nullable<string>;
  update_bytes: Nullable<number>;
  tokens: Nullable<number>;
  loss: Nullable<number>;
  loss_curve_json: Nullable<string>;
  seconds: Nullable<number>;
  end_theta: Nullable<string>;
  /** Weight in the mean of its round's fold; set when it is merged. */
  weight: Nullable<number>;
  /** Which merged lease of its worker's life this is; set when the fold is confirmed. */
  ordinal: Nullable<number>;
  device_kind: Nullable<string>;
  /** 1 for a lease that is to be done a second time. */
  is_drawn: Nullable<number>;
  reason: Nullable<string>;
}

export interface RoundsTable {
  job_id: string;
  round: number;
  state: string;
  theta: string;
  next_theta: Nullable<string>;
  delta: Nullable<string>;
  outer_state: Nullable<string>;
  scale: Nullable<number>;
  validation_loss: Nullable<number>;
  opened_at_ms: number;
  folded_at_ms: Nullable<number>;
  /** When the fold passed its check; until then it may be taken back. */
  confirmed_at_ms: Nullable<number>;
  /** 1 where the next fold starts without the outer optimiser's state. */
  resets_outer: Nullable<number>;
}

export interface ReceiptsTable {
  job_id: string;
  round: number;
  worker: string;
  tokens: number;
  total_tokens: number;
  audit_tokens: Nullable<number>;
  held_tokens: Nullable<number>;
  expected_wei: string;
  signature: string;
}

export interface WorkersTable {
  address: string;
  is_blocked: number;
  strikes: number;
  last_strike: Nullable<string>;
  seen_at_ms: number;
  /** Over all jobs; null means 0. */
  accepted_leases: Nullable<number>;
  /** Speed of the last job in which it was measured. */
  measured_gflops: Nullable<number>;
}

/** A lease done again: one row for each who did it. */
export interface AuditsTable {
  lease_id: string;
  auditor: string;
  job_id: string;
  round: number;
  start_pos: number;
  update_sha256: string;
  tokens: number;
  distance: number;
  outcome: string;
  done_at_ms: number;
}

export interface MeasurementsTable {
  id: Generated<number>;
  worker: string;
  at_ms: number;
  source: string;
  shape: string;
  gflops: number;
  ok: number;
  detail: Nullable<string>;
}

export interface CursorsTable {
  id: string;
  block_number: number;
  block_hash: string;
}

/** One row: what the database belongs to. */
export interface DeploymentTable {
  id: number;
  chain_id: number;
  contract: string;
}

export interface IntentsTable {
  id: string;
  account: string;
  intent_key: string;
  state: string;
  to_address: string;
  data: string;
  value_wei: string;
  nonce: Nullable<number>;
  /**
   * Every signed version of the transaction, oldest first: a JSON list of {hash, raw, maxFeePerGas,
   * maxPriorityFeePerGas, atMs}.
   */
  attempts_json: string;
  mined_hash: Nullable<string>;
  reason: Nullable<string>;
  created_at_ms: number;
}

export type QueueTables = {
  jobs: JobsTable;
  job_events: JobEventsTable;
  ledger: LedgerTable;
  leases: LeasesTable;
  rounds: RoundsTable;
  receipts: ReceiptsTable;
  audits: AuditsTable;
  workers: WorkersTable;
  measurements: MeasurementsTable;
  cursors: CursorsTable;
  intents: IntentsTable;
  deployment: DeploymentTable;
};
