/** Parsing of text frames, within limits. */
import type { z } from 'zod';
import { MAX_CONTROL_BYTES } from '../protocol/link';
import { refusal } from './errors';

/** Deeper than any message of the protocol nests; bounds the work of the parser. */
const MAX_JSON_DEPTH = 12;

/** Returns the message in a text frame. Throws `link/malformed`, `link/unknown-type` or `link/invalid`. */
export function parseMessage<T extends z.ZodType>(schema: T, text: string): z.output<T> {
  const result = schema.safeParse(parseJson(text));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue?.path.join('.') ?? '';
  if (where === 'type') throw refusal('link/unknown-type', 'The message has an unknown type.');
  throw refusal('link/invalid', `The message is not valid at "${where}": ${issue?.message}.`.slice(0, 500));
}

/** Throws `link/oversized` for a text frame above the limit. */
export function checkSize(bytes: number): void {
  if (bytes > MAX_CONTROL_BYTES) {
    throw refusal('link/oversized', `The message has ${bytes} bytes; the limit is ${MAX_CONTROL_BYTES}.`);
  }
}

function parseJson(text: string): unknown {
  if (depth(text) > MAX_JSON_DEPTH)
    throw refusal('link/malformed', `The message nests deeper than ${MAX_JSON_DEPTH} levels.`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw refusal('link/malformed', 'The message is not JSON.', cause);
  }
}

/** Returns how deep objects and arrays nest; brackets inside strings do not count. */
function depth(text: string): number {
  let open = 0;
  let deepest = 0;
  for (const [mark] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (mark === '{' || mark === '[') deepest = Math.max(deepest, ++open);
    else if (mark === '}' || mark === ']') open--;
  }
  return deepest;
}
