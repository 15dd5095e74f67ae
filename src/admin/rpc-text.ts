/** JSON-RPC requests and answers as text, in which an id comes back as it came. */
import { randomBytes } from 'node:crypto';

/** Stands before what jayson would take for something else; a sender cannot guess it. */
const MARK = randomBytes(16).toString('hex');
/** A string, or a whole number; strings are matched so that digits in them are left alone. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARKED = new RegExp(`"${MARK}([^"]+)"`, 'g');

/**
 * Parses a body: an object or a list of objects, `null` for anything else. Numbers that a double would change
 * and ids that are `null` become marked strings; `null` parameters are left out. Throws for what is no JSON.
 */
export function parseRpc(text: string): unknown {
  JSON.parse(text);
  const kept = text.replace(TOKEN, (token) =>
    token.startsWith('"') || String(Number(token)) === token ? token : `"${MARK}${token}"`,
  );
  const body: unknown = JSON.parse(kept);
  if (Array.isArray(body)) return body.map(normalise);
  return normalise(body);
}

/** Prints an answer, with ids as they came. */
export function printRpc(answer: unknown): string {
  return JSON.stringify(answer).replace(MARKED, '$1');
}

/** jayson takes a `null` id for none, and would parse strings again and descend into nested lists. */
function normalise(item: unknown): unknown {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return null;
  const { id, params, ...rest } = item as { id?: unknown; params?: unknown };
  return {
    ...rest,
    ...(id === undefined ? {} : { id: id === null ? `${MARK}null` : id }),
    ...(params === undefined || params === null ? {} : { params }),
  };
}
