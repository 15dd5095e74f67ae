/** `emeth joblist`: the jobs of a master's queue, or those on a board. */

import Table from 'cli-table3';
import { loadRole } from '../../app/context';
import { openQueue, type QueueOptions } from '../../app/queue';
import { fetchBoardPage, printable } from '../../board/client';
import { formatEmt } from '../../domain/emt';
import { AppError } from '../../lib/errors';
import { formatBytes } from '../../lib/format-bytes';
import type { JobView } from '../../protocol/admin';
import type { BoardJobView } from '../../protocol/board';
import { parseChainState, parseJobState } from '../../terminal/arguments';
import { printJson, printLines, talk } from '../../terminal/print';

interface ListOptions extends QueueOptions {
  state?: string | undefined;
  board?: string | true | undefined;
  page: number;
}

export async function listJobs(options: ListOptions): Promise<void> {
  if (options.board !== undefined) return listBoard(options);
  const state = options.state === undefined ? undefined : parseJobState(options.state);
  await using queue = await openQueue(options);
  const jobs = (await queue.list()).filter((job) => state === undefined || job.state === state);
  if (options.json) return printJson(jobs);
  if (jobs.length === 0) return talk(state === undefined ? 'The queue is empty.' : `No job in the queue is ${state}.`);
  printTable(['job', 'state', 'on chain', 'fee', 'progress', 'deadline', 'reason'], jobs.map(row));
}

async function listBoard(options: ListOptions): Promise<void> {
  const url = typeof options.board === 'string' ? options.board : await configuredBoard(options);
  const status = options.state === undefined ? undefined : parseChainState(options.state);
  const found = await fetchBoardPage(url, { status, page: options.page, sort: 'newest' });
  if (options.json) return printJson(found);
  const pages = Math.max(1, Math.ceil(found.total / found.pageSize));
  if (found.jobs.length === 0) return talk(`Page ${found.page} of ${pages} has no such jobs.`);
  printTable(
    ['job', 'state', 'fee', 'data', 'deadline', 'data set'],
    found.jobs.map((job) => boardRow({ ...job, dataset: printable(job.dataset) })),
  );
  talk(`Page ${found.page} of ${pages}, ${found.total} jobs, read up to chain block ${found.head.number}.`);
}

async function configuredBoard(options: ListOptions): Promise<string> {
  const { board_url: url } = loadRole('master', options).config;
  if (url !== undefined) return url;
  throw new AppError(
    { code: 'config/no-board' },
    'No board is configured; set board_url in the configuration or name one with --board <url>.',
  );
}

function printTable(head: string[], rows: string[][]): void {
  const table = new Table({ head, style: { head: [], border: [] } });
  table.push(...rows);
  printLines(table.toString());
}

function row(job: JobView): string[] {
  const { progress } = job;
  return [
    job.jobId,
    job.state,
    job.chainState,
    formatEmt(BigInt(job.feeWei)),
    progress ? `${Math.floor((100 * progress.mergedBlocks) / progress.totalBlocks)} %` : '',
    minuteOf(job.deadlineMs),
    job.reason ?? '',
  ];
}

function boardRow({ jobId, status, isFinal, feeWei, datasetBytes, deadlineMs, dataset }: BoardJobView): string[] {
  return [
    jobId,
    isFinal ? status : `${status} (not final)`,
    formatEmt(BigInt(feeWei)),
    datasetBytes === undefined ? '' : formatBytes(datasetBytes),
    minuteOf(deadlineMs),
    dataset.length > 40 ? `${dataset.slice(0, 39)}…` : dataset,
  ];
}

function minuteOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}
