/** What a model hub did, in the words that the requester of a job reads. */
import { describeError } from '../lib/errors';
import { type BaseErrorCode, baseError } from './base-errors';

/** A repository, and the hub that is asked about it. */
export interface AskedRepository {
  readonly endpoint: string;
  readonly repo: string;
  readonly hasToken: boolean;
}

const PASSING_STATUS = [408, 425, 429, 500, 502, 503, 504];

/** What a status means. */
export function refusedByHub(asked: AskedRepository, status: number, errorHeader: string | string[] | undefined) {
  const { endpoint, hasToken } = asked;
  if (PASSING_STATUS.includes(status)) return hubAway(asked, new Error(`${endpoint} answers ${status}`));
  const code = typeof errorHeader === 'string' ? errorHeader.slice(0, 60) : '';
  const why = `${endpoint} answers ${status}${code && ` ${code}`}`;
  // The hub says 401 of what does not exist, too: nobody shall learn which private names are taken.
  if (status === 404 || status === 410 || code.endsWith('NotFound'))
    return refuse(asked, 'missing', `is not there (${why}); look at its name, or put its files by emeth put.`);
  const remedy = hasToken ? 'its token may not read it' : 'a token of the hub may be needed';
  return refuse(asked, 'no-access', `cannot be read here (${why}); ${remedy}, or put its files by emeth put.`);
}

export function hubAway(asked: AskedRepository, cause: unknown) {
  return refuse(asked, 'hub-away', `cannot be fetched now: ${describeError(cause)}.`, { cause });
}

/** Of answers that no hub gives. */
export function oddHub(asked: AskedRepository, what: string, cause?: unknown) {
  return refuse(asked, 'missing', `cannot be fetched from ${asked.endpoint}: ${what}.`, { cause });
}

export function otherHubBytes(asked: AskedRepository, file: string, cause?: unknown) {
  const sentence = `has other bytes in ${file} than the hub lists; try again later, or put its files by emeth put.`;
  return refuse(asked, 'other-bytes', sentence, { file, cause });
}

/** What only the account of this machine's token may see is trained for nobody. */
export function privateAtHub(asked: AskedRepository) {
  return refuse(asked, 'private', 'is private at the hub; put its files into a storage by emeth put.');
}

type More = Parameters<typeof baseError>[3];

function refuse({ repo }: AskedRepository, reason: string, sentence: string, more: More = {}) {
  return baseError(`base/${reason}` as BaseErrorCode, `hf:${repo}`, sentence, more);
}
