/** Lines of a stream whose writer is not trusted: one without an end takes no more memory than any other. */
import type { Readable } from 'node:stream';

/** Yields the lines of a stream as text. Of a longer line, only the first `maxChars` are kept. */
export async function* readLines(stream: Readable, maxChars: number): AsyncGenerator<string> {
  stream.setEncoding('utf8');
  let line = '';
  let isOpen = false;
  for await (const piece of stream as AsyncIterable<string>) {
    const parts = piece.split('\n');
    for (const [i, part] of parts.entries()) {
      line += part.slice(0, maxChars - line.length);
      isOpen = i === parts.length - 1 && (isOpen || part !== '');
      if (i === parts.length - 1) break;
      yield line.endsWith('\r') ? line.slice(0, -1) : line;
      line = '';
      isOpen = false;
    }
  }
  if (isOpen) yield line;
}
