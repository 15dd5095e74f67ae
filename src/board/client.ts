/** Reads a public board over HTTP: single pages, and open jobs confirmed by the chain. */
import type { CoreEvent } from '../chain/contract/events';
import type { JobId } from '../domain/ids';
import type { ChainState } from '../domain/job';
import { fetchJson } from '../http/fetch-json';
import { AppError, describeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { BoardPage, JobWhy } from '../protocol/board';

export type BoardClientError = { code: 'board/unreachable'; url: string } | { code: 'board/refused'; url: string };

type Requested = Extract<CoreEvent, { type: 'JobRequested' }>;

interface OpenJobsDeps {
  /**
   * Returns this job's request in this transaction, as the chain has it; undefined if there is none of the
   * contract.
   */
  verify(jobId: JobId, txHash: string): Promise<Requested | undefined>;
  logger: Logger;
  signal?: AbortSignal | undefined;
}

export interface PageQuery {
  status?: ChainState | undefined;
  page: number;
  pageSize?: number | undefined;
  sort: 'newest' | 'fee' | 'deadline';
}

/** Several times the size of a full page of the longest jobs. */
const MAX_ANSWER_BYTES = 32 * 2 ** 20;
const PAGE_SIZE = 200;
const MAX_PAGES = 25;
const CHECKS_AT_ONCE = 4;

/**
 * Fetches a page of a board's jobs. Throws `board/unreachable`, or `board/refused` with the board's own
 * message.
 */
export async function fetchBoardPage(boardUrl: string, query: PageQuery, signal?: AbortSignal): Promise<BoardPage> {
  const url = new URL(`${boardUrl.replace(/\/$/, '')}/api/v1/jobs`);
  for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, String(value));
  const { body } = await fetchJson(url, { maxBytes: MAX_ANSWER_BYTES, signal }).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new AppError<BoardClientError>(
      { code: 'board/unreachable', url: boardUrl },
      `No board answers at ${boardUrl} (${describeError(cause)}); correct board_url or --board, or start one with \`emeth board\`.`,
      { cause },
    );
  });
  const page = BoardPage.safeParse(body);
  if (page.success) return page.data;
  const message = (body as { error?: { message?: unknown } } | null)?.error?.message;
  throw new AppError<BoardClientError>(
    { code: 'board/refused', url: boardUrl },
    typeof message === 'string'
      ? `The board refused the request: ${printable(message)}`
      : `${boardUrl} answered, but it is not a board.`,
  );
}

/**
 * Fetches the requests of the jobs a board lists as open, as the chain has them, best paid first. The board
 * only says where to look: jobs the chain does not confirm are left out and logged. Throws like
 * `fetchBoardPage` and `verify`.
 */
export async function fetchOpenJobs(boardUrl: string, { verify, logger, signal }: OpenJobsDeps): Promise<Requested[]> {
  const named = await fetchNamed(boardUrl, signal);
  const found = new Map<JobId, Requested>();
  let unconfirmed = 0;
  const waiting = [...named];
  const check = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      signal?.throwIfAborted();
      const [jobId, txHash] = next;
      const request = await verify(jobId, txHash);
      if (request?.jobId === jobId) found.set(jobId, request);
      else unconfirmed += 1;
    }
  };
  await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, check));
  if (unconfirmed > 0) logger.warn('The board lists jobs that the chain does not have', { url: boardUrl, unconfirmed });
  return [...named.keys()].flatMap((jobId) => found.get(jobId) ?? []);
}

/**
 * Fetches every open job with the transaction of its request. Pages shift while they are read, so a job may
 * come twice.
 */
async function fetchNamed(boardUrl: string, signal: AbortSignal | undefined): Promise<Map<JobId, string>> {
  const named = new Map<JobId, string>();
  for (let page = 1; page <= MAX_PAGES; page += 1) {
    const query = { status: 'REQUESTED', page, pageSize: PAGE_SIZE, sort: 'fee' } as const;
    const { jobs, total } = await fetchBoardPage(boardUrl, query, signal);
    for (const { jobId, txHash } of jobs) named.set(jobId, txHash);
    if (jobs.length === 0 || page * PAGE_SIZE >= total) break;
  }
  return named;
}

/**
 * Asks the master whose storage this is what it does with a job; undefined where no master answers, or none
 * that knows the job.
 */
export async function askWhy(storageApi: string, jobId: JobId, signal: AbortSignal): Promise<JobWhy | undefined> {
  const url = `${storageApi.replace(/\/$/, '')}/jobs/${jobId}/why`;
  const answer = await fetchJson(url, { maxBytes: 2 ** 16, signal }).catch(() => undefined);
  const { data } = JobWhy.safeParse(answer?.status === 200 ? answer.body : undefined);
  return data && { state: printable(data.state), reason: data.reason && printable(data.reason) };
}

/** Untrusted text without the characters that could control a terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd').slice(0, 1000);
}
