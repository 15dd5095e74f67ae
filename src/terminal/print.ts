/** What commands print: data to stdout, messages for people to stderr. Nothing else writes there. */
import { formatBytes } from '../lib/format-bytes';

/** Prints a value as indented JSON; bigints become decimal strings. */
export function printJson(value: unknown): void {
  process.stdout.write(
    `${JSON.stringify(value, (_key, v: unknown) => (typeof v === 'bigint' ? v.toString() : v), 2)}\n`,
  );
}

/** Prints lines of data. */
export function printLines(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Prints data as they come, without ending a line. */
export function printText(text: string): void {
  process.stdout.write(text);
}

/** Prints a message for the person at the terminal. */
export function talk(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Ends the process without an error when the reader of stdout closes it, as in `emeth joblist | head`. */
export function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}

/**
 * Shows the progress of one transfer: a line that is rewritten on a terminal, nothing elsewhere. Call
 * `update` with what is done so far, and `end` once.
 */
export function openProgress(label: string): { update(done: number, total: number): void; end(): void } {
  const isLive = process.stderr.isTTY === true;
  let last = -1;
  return {
    update(done, total) {
      const percent = total > 0 ? Math.floor((100 * done) / total) : 100;
      if (!isLive || percent === last) return;
      last = percent;
      process.stderr.write(`\r${label}: ${percent} % of ${formatBytes(total)}\u001b[K`);
    },
    end() {
      if (isLive && last >= 0) process.stderr.write('\n');
    },
  };
}
