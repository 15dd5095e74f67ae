/** What a storage, or a proxy in front of it, means by its answer, in words. */

/** As much of an answer as a message may have; a storage that a stranger named may send anything. */
const MAX_CHARACTERS = 8192;

/** Why a storage that somebody else named gives nothing of what an account has uploaded. */
export const NOT_SHOWN =
  'the signature that it needs is given only to storages of the configuration; name this one with --storage.';

/** Reads the first part of an answer, whatever becomes of the rest. */
export async function startOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  try {
    for await (const piece of body) {
      text += Buffer.from(piece).toString('utf8');
      if (text.length >= MAX_CHARACTERS) break;
    }
  } catch {
    // What arrived before the connection broke may still say why.
  }
  return text;
}

/** Returns the message of a storage's own answer; undefined for anything else, such as a proxy's page. */
export function errorOf(text: string): string | undefined {
  try {
    const message = (JSON.parse(text) as { error?: { message?: unknown } } | null)?.error?.message;
    return typeof message === 'string' ? message.slice(0, 500) : undefined;
  } catch {
    return undefined;
  }
}

/** Says what a status means that did not come from a storage, or came without a message. */
export function reasonOf(status: number): string {
  if (status === 413)
    return 'a proxy in front of it does not let even 64 kB through; its operator must raise the limit of bodies.';
  if ([502, 503, 504].includes(status)) return 'a proxy in front of it does not reach it; its operator must start it.';
  if (status >= 300 && status < 400) return 'it redirects; set storageApi to the address it redirects to.';
  if (status >= 500) return 'it failed; its log says why.';
  if (status === 429) return 'there are too many requests; wait a minute.';
  return 'what answers there is no storage, or a proxy in front of it refuses; correct storageApi.';
}
