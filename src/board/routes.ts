/** The board over HTTP: pages of jobs, and one job with its history. */
import { type NextFunction, type Request, type Response, Router } from 'express';
import { JobId } from '../domain/ids';
import type { ClientAddress } from '../http/client-address';
import { limitRate } from '../http/rate-limit';
import { AppError } from '../lib/errors';
import {
  type BoardHistory,
  type BoardJobView,
  type BoardPage,
  BoardQuery,
  type JobWhy,
  queryProblems,
} from '../protocol/board';
import type { BoardJob } from '../store/board';
import type { Store } from '../store/open';

export type BoardError =
  | { code: 'board/bad-query'; status: 400; problems: string[] }
  | { code: 'board/unknown-job'; status: 404; jobId: string };

interface BoardDeps {
  store: Pick<Store, 'board' | 'cursors'>;
  /** The reader whose cursors say how far the chain was read. */
  cursorId: string;
  clientAddress: ClientAddress;
  /** What the master that serves this list does with a job; undefined for one that is not in its queue. */
  why?: ((jobId: JobId) => Promise<JobWhy | undefined>) | undefined;
}

const REQUESTS_A_MINUTE = 600;

/** Returns the routes of the public list of jobs, to be mounted at `/api/v1`. */
export function boardRoutes(deps: BoardDeps): Router {
  const router = Router();
  const { clientAddress } = deps;
  const limit = limitRate({ limit: REQUESTS_A_MINUTE, code: 'board/too-many-requests', clientAddress });
  router.get(['/jobs', '/jobs/:jobId', '/jobs/:jobId/why'], allowAnyPage, limit);
  router.get('/jobs', (request, response) => sendPage(deps, request, response));
  router.get('/jobs/:jobId', (request, response) => sendJob(deps, request, response));
  router.get('/jobs/:jobId/why', (request, response) => sendWhy(deps, request, response));
  return router;
}

/** The list is public: any web page may read it, refusals too. */
function allowAnyPage(_request: Request, response: Response, next: NextFunction): void {
  response.set('access-control-allow-origin', '*');
  next();
}

async function sendPage({ store, cursorId }: BoardDeps, request: Request, response: Response): Promise<void> {
  const query = BoardQuery.safeParse(request.query);
  if (!query.success) {
    const problems = queryProblems(query.error.issues, request.query);
    throw new AppError<BoardError>({ code: 'board/bad-query', status: 400, problems }, `${problems.join('; ')}.`);
  }
  const { status, page, pageSize, sort } = query.data;
  const found = await store.board.list({ states: status, sort, limit: pageSize, offset: (page - 1) * pageSize });
  const { final, tentative } = await store.cursors.findPair(cursorId);
  const finalNumber = final?.number ?? -1;
  const answer: BoardPage = {
    page,
    pageSize,
    total: found.total,
    head: { number: Math.max(finalNumber, tentative?.number ?? -1), final: finalNumber },
    jobs: found.jobs.map(viewOf),
  };
  response.set('cache-control', 'no-cache').json(answer);
}

async function sendWhy({ why }: BoardDeps, request: Request, response: Response): Promise<void> {
  const jobId = parseId(String(request.params['jobId']));
  const answer = await why?.(jobId);
  if (!answer) throw unknownJob(jobId, 'is in no queue here');
  response.set('cache-control', 'no-cache').json(answer);
}

async function sendJob({ store }: BoardDeps, request: Request, response: Response): Promise<void> {
  const jobId = parseId(String(request.params['jobId']));
  const job = await store.board.find(jobId);
  if (!job) throw unknownJob(jobId, 'is not on this board');
  const events = await store.board.history(jobId);
  const answer: BoardHistory = {
    job: viewOf(job),
    events: events.map(({ type, state, blockNumber, blockHash, txHash, isFinal, facts }) => ({
      type,
      status: state,
      blockNumber,
      blockHash,
      txHash,
      isFinal,
      facts: { ...facts },
    })),
  };
  response.set('cache-control', 'no-cache').json(answer);
}

function viewOf({ state, feeWei, fuelLimit, ...job }: BoardJob): BoardJobView {
  return { ...job, status: state, feeWei: feeWei.toString(), fuelLimit: fuelLimit.toString() };
}

function parseId(text: string): JobId {
  const parsed = JobId.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new AppError<BoardError>(
    { code: 'board/bad-query', status: 400, problems: [text] },
    `${text.slice(0, 100)} is not a job id; a job id is 0x and 32 hex digits.`,
  );
}

function unknownJob(jobId: JobId, where: string): AppError<BoardError> {
  return new AppError({ code: 'board/unknown-job', status: 404, jobId }, `The job ${jobId} ${where}.`);
}
