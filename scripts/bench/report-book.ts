/** What benchmarks have found, by name, and how a page of the documentation shows it. */
import { z } from 'zod';
import { BenchReport, tableOf } from './report';

export const ReportBook = z.record(z.string(), BenchReport);
export type ReportBook = z.infer<typeof ReportBook>;

const MARKS = ['<!-- measured -->', '<!-- end of measured -->'] as const;

/** Returns the page with the book's reports between its marks. */
export function showIn(page: string, book: ReportBook): string {
  const [before, rest] = page.split(MARKS[0]);
  const after = rest?.split(MARKS[1])[1];
  if (before === undefined || after === undefined) throw new Error(`The page has no ${MARKS.join(' and ')}`);
  return `${before}${MARKS[0]}\n${render(book)}\n${MARKS[1]}${after}`;
}

/** One table for each run of one machine and day, the newest first. */
function render(book: ReportBook): string {
  const runs = new Map<string, string[]>();
  for (const [name, { date, machine }] of Object.entries(book)) {
    const run = `${date}, ${machine}`;
    runs.set(run, [...(runs.get(run) ?? []), name]);
  }
  const newestFirst = [...runs].toSorted(([a], [b]) => (a < b ? 1 : -1));
  return newestFirst
    .map(([run, names]) => `${run}:\n\n${tableOf(names.flatMap((name) => book[name]?.rows ?? []))}\n`)
    .join('\n');
}
