/** The board's tables, as Kysely sees them: the events of the chain and the jobs they describe. */
import type { Nullable } from './columns';

/** Job events of the chain, as far as they were read. */
export interface ChainEventsTable {
  block_hash: string;
  log_index: number;
  block_number: number;
  tx_hash: string;
  job_id: string;
  type: string;
  /** Where the event left its job; null if it changed no state. */
  state: Nullable<string>;
  node: Nullable<string>;
  facts_json: string;
  is_final: number;
}

/** What the events of each job add up to. */
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
