/** The board's tables, as Kysely sees them: the events of the chain and the jobs they describe. */
import type { Nullable } from './columns';

/** A job event of the chain, as indexed so far. */
export interface ChainEventsTable {
  block_hash: string;
  log_index: number;
  block_number: number;
  tx_hash: string;
  job_id: string;
  type: string;
  /** State of the job after the event; null if the event changed no state. */
  state: Nullable<string>;
  node: Nullable<string>;
  facts_json: string;
  is_final: number;
}

/** A job, as its events leave it. */
export interface BoardJobsTable {
  id: string;
  state: string;
  is_final: number;
  requester: string;
  node: Nullable<string>;
  dataset: string;
  dataset_bytes: Nullable<number>;
  size_asked_at_ms: Nullable<number>;
  params: string;
  fee_wei: string;
  fuel_limit: string;
  deadline_ms: number;
  requested_block: number;
  updated_block: number;
  tx_hash: string;
}

export type BoardTables = {
  chain_events: ChainEventsTable;
  board_jobs: BoardJobsTable;
};
