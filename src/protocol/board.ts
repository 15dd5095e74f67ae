import { z } from 'zod';
import { Address, JobId } from '../domain/ids';
import { chainStates } from '../domain/job';

/*
 * The board: a public list of jobs, made from the chain's events. `GET {board}/jobs` and `GET {board}/jobs/<id>`. It is for
 * looking; whoever pays or is paid asks the chain.
 */

const count = z.coerce.number().int();
const MAX_PAGE = 100_000;

/** What may be asked, as it stands in the address. */
export const BoardQuery = z.strictObject({
  /** One state or several, separated by commas; any case. Default: all. */
  status: z
    .string()
    .transform((text) => text.split(',').map((state) => state.trim().toUpperCase()))
    .pipe(z.array(z.enum(chainStates, { error: `must be one of ${chainStates.join(', ')}` })).min(1))
    .optional(),
  page: count.min(1).max(MAX_PAGE).default(1),
  pageSize: count.min(1).max(200).default(50),
  sort: z.enum(['newest', 'fee', 'deadline']).default('newest'),
});
export type BoardQuery = z.infer<typeof BoardQuery>;

export const BoardJobView = z.object({
  jobId: JobId,
  status: z.enum(chainStates),
  /** False while a reorganisation may still take the last event back. */
  isFinal: z.boolean(),
  requester: Address,
  node: Address.optional(),
  feeWei: z.string(),
  fuelLimit: z.string(),
  deadlineMs: z.number(),
  dataset: z.string(),
  /** Absent where nobody could tell yet. */
  datasetBytes: z.number().optional(),
  params: z.string(),
  requestedBlock: z.number(),
  updatedBlock: z.number(),
  txHash: z.string(),
});
export type BoardJobView = z.infer<typeof BoardJobView>;

export const BoardPage = z.object({
  page: z.number(),
  pageSize: z.number(),
  total: z.number(),
  /** Newest block that was read, and newest that was read for good. */
  head: z.object({ number: z.number(), final: z.number() }),
  jobs: z.array(BoardJobView),
});
export type BoardPage = z.infer<typeof BoardPage>;

export const BoardHistory = z.object({
  job: BoardJobView,
  events: z.array(
    z.object({
      type: z.string(),
      status: z.enum(chainStates).optional(),
      blockNumber: z.number(),
      blockHash: z.string(),
      txHash: z.string(),
      isFinal: z.boolean(),
      facts: z.record(z.string(), z.string()),
    }),
  ),
});
export type BoardHistory = z.infer<typeof BoardHistory>;
