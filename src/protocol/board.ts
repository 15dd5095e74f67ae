import { z } from 'zod';
import { Address, Bytes32, JobId } from '../domain/ids';
import { chainStates } from '../domain/job';

/*
 * The board: a public list of jobs, made from the chain's events. `GET {board}/jobs` and `GET {board}/jobs/<id>`. It is for
 * looking; whoever pays or is paid asks the chain.
 */

const MAX_PAGE = 100_000;
const MAX_PAGE_SIZE = 200;
const sorts = ['newest', 'fee', 'deadline'] as const;

/** A whole number as it stands in an address: digits alone. */
const count = (max: number) => {
  const error = `must be a whole number from 1 to ${max}`;
  return z
    .string(error)
    .regex(/^[1-9]\d{0,8}$/, error)
    .transform(Number)
    .pipe(z.number().max(max, error));
};

/** What may be asked, as it stands in the address. */
export const BoardQuery = z.strictObject({
  /** One state or several, separated by commas; any case. Default: all. */
  status: z
    .string('must be given once; part several by commas')
    .transform((text) => text.split(',').map((state) => state.trim().toUpperCase()))
    .pipe(z.array(z.enum(chainStates, `must be one of ${chainStates.join(', ')}, or several parted by commas`)))
    .optional(),
  page: count(MAX_PAGE).default(1),
  pageSize: count(MAX_PAGE_SIZE).default(50),
  sort: z.enum(sorts, `must be one of ${sorts.join(', ')}`).default('newest'),
});
export type BoardQuery = z.infer<typeof BoardQuery>;

/** What is wrong with a query, one sentence for each value, which it names; to be shown to whoever asked. */
export function queryProblems(issues: readonly z.core.$ZodIssue[], query: Readonly<Record<string, unknown>>): string[] {
  const known = Object.keys(BoardQuery.shape).join(', ');
  const problems = issues.map((issue) => {
    if (issue.code === 'unrecognized_keys')
      return `${issue.keys.map(show).join(', ')} cannot be asked; there are ${known}`;
    const key = String(issue.path[0]);
    return `${key} ${issue.message}, not ${show(query[key])}`;
  });
  return [...new Set(problems)];
}

const LONGEST_SHOWN = 60;

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 1)}…` : text;
}

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
  /** Of the request. */
  txHash: Bytes32,
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
