import type { ChainState } from '../domain/job';
import { AppError } from '../lib/errors';
import { BoardPage } from '../protocol/board';

export type BoardClientError = { code: 'board/unreachable'; url: string } | { code: 'board/refused'; url: string };

const ANSWER_MS = 15_000;

/** A page of a board's jobs. Throws `board/unreachable`, or `board/refused` with the board's own words. */
export async function fetchBoardPage(
  boardUrl: string,
  query: { status?: ChainState | undefined; page: number; sort: string },
): Promise<BoardPage> {
  const url = new URL(`${boardUrl.replace(/\/$/, '')}/api/v1/jobs`);
  for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, String(value));
  let body: unknown;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
    body = await response.json();
  } catch (cause) {
    throw new AppError<BoardClientError>(
      { code: 'board/unreachable', url: boardUrl },
      `No board answers at ${boardUrl}; correct board_url or --board, or start one with \`emeth board\`.`,
      { cause },
    );
  }
  const page = BoardPage.safeParse(body);
  if (page.success) return page.data;
  const said = (body as { error?: { message?: unknown } } | null)?.error?.message;
  throw new AppError<BoardClientError>(
    { code: 'board/refused', url: boardUrl },
    typeof said === 'string' ? `The board refuses: ${said}` : `${boardUrl} answers, but not as a board.`,
  );
}
