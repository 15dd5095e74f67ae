/** Reads a stream that carries one JSON value per line. */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/**
 * Yields the parsed JSON values of a stream of lines. A line that is not JSON, or is longer than `maxBytes`,
 * goes to `onBadLine` instead of ending the stream.
 */
export async function* readJsonLines(
  stream: Readable,
  onBadLine: (line: string) => void,
  maxBytes = 4 * 1024 * 1024,
): AsyncGenerator<unknown> {
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === '') continue;
    const value = line.length > maxBytes ? undefined : tryParse(line);
    if (value === undefined) onBadLine(line.slice(0, 500));
    else yield value.json;
  }
}

function tryParse(line: string): { json: unknown } | undefined {
  try {
    return { json: JSON.parse(line) };
  } catch {
    return undefined;
  }
}
