/** The board's HTTP API: `GET {board}/jobs` and `GET {board}/jobs/<id>`; of a master also `…/<id>/why`. */
import { z } from 'zod';
import { Address, Bytes32, JobId } from '../domain/ids';
import { chainStates } from '../domain/job';

/*
 * The board is a public list of jobs, made from the chain's events. It informs people; wherever money is
 * involved, the chain itself is read.
 */

const MAX_PAGE = 100_000;
const MAX_PAGE_SIZE = 200;
const sorts = ['newest', 'fee', 'deadline'] as const;

/** A whole number in a query: digits only. */
const count = (max: number) => {
  const error = `must be a whole number from 1 to ${max}`;
  return z
    .string(error)
    .regex(/^[1-9]\d{0,8}$/, error)
    .transform(Number)
    .pipe(z.number().max(max, error));
};

/** The query of a page of jobs. */
export const BoardQuery = z.strictObject({
  /** One or more states, separated by commas, in any case. Default: all. */
  status: z
    .string('must be given once; separate several values by commas')
    .transform((text) => text.split(',').map((state) => state.trim().toUpperCase()))
    .pipe(z.array(z.enum(chainStates, `must be one of ${chainStates.join(', ')}, or several separated by commas`)))
    .optional(),
  page: count(MAX_PAGE).default(1),
  pageSize: count(MAX_PAGE_SIZE).default(50),
  sort: z.enum(sorts, `must be one of ${sorts.join(', ')}`).default('newest'),
});
export type BoardQuery = z.infer<typeof BoardQuery>;

/** Describes the problems of a query to its sender, one sentence per value. */
export function queryProblems(issues: readonly z.core.$ZodIssue[], query: Readonly<Record<string, unknown>>): string[] {
  const known = Object.keys(BoardQuery.shape).join(', ');
  const problems = issues.map((issue) => {
    if (issue.code === 'unrecognized_keys')
      return `${issue.keys.map(show).join(', ')} is not a parameter; the parameters are ${known}`;
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

/** What a master does with a job, and why: `GET {master}/jobs/<id>/why`. Its word, not the chain's. */
export const JobWhy = z.object({ state: z.string().max(40), reason: z.string().max(2000).optional() });
export type JobWhy = z.infer<typeof JobWhy>;

export const BoardJobView = z.object({
  jobId: JobId,
  status: z.enum(chainStates),
  /** False while a reorganisation may still undo the last event. */
  isFinal: z.boolean(),
  requester: Address,
  node: Address.optional(),
  feeWei: z.string(),
  fuelLimit: z.string(),
  deadlineMs: z.number(),
  dataset: z.string(),
  /** Absent while unknown. */
  datasetBytes: z.number().optional(),
  params: z.string(),
  requestedBlock: z.number(),
  updatedBlock: z.number(),
  /** Hash of the request's transaction. */
  txHash: Bytes32,
});
export type BoardJobView = z.infer<typeof BoardJobView>;

export const BoardPage = z.object({
  page: z.number(),
  pageSize: z.number(),
  total: z.number(),
  /** The newest block read, and the newest final block read. */
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
