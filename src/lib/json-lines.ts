/** Reads a stream that carries one JSON value per line. */
import type { Readable } from 'node:stream';
import { readLines } from './lines';

/**
 * Yields the parsed JSON values of a stream of lines. A line that is not JSON, or is longer than `maxChars`,
 * goes to `onBadLine` instead of ending the stream.
 */
export async function* readJsonLines(
  stream: Readable,
  onBadLine: (line: string) => void,
  maxChars = 4 * 1024 * 1024,
): AsyncGenerator<unknown> {
  for await (const line of readLines(stream, maxChars + 1)) {
    if (line.trim() === '') continue;
    const value = line.length > maxChars ? undefined : tryParse(line);
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
