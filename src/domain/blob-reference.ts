/** References to blobs: `sha256:<hex>`, and behind an `@` the storages where it may be had. */
import { Sha256 } from './ids';

/**
 * A blob, and the addresses of storage APIs (`https://host/api/v1`) that whoever wrote the reference names.
 */
export interface BlobReference {
  readonly sha256: Sha256;
  readonly locations: readonly string[];
}

/** What the longest reference on chain may have: it is printed, logged and paid for. */
export const MAX_REFERENCE_CHARACTERS = 2000;
export const MAX_LOCATIONS = 8;
const MAX_LOCATION_CHARACTERS = 200;
const SCHEME = 'sha256:';

/**
 * Parses `sha256:<hex>[@<url>[,<url>…]]`; undefined for anything else, and for what is too long or too many.
 */
export function parseBlobReference(text: string): BlobReference | undefined {
  if (!text.startsWith(SCHEME) || text.length > MAX_REFERENCE_CHARACTERS) return undefined;
  const [name = '', ...rest] = text.slice(SCHEME.length).split('@');
  const sha256 = Sha256.safeParse(name).data;
  if (sha256 === undefined || rest.length > 1) return undefined;
  const locations = rest[0]?.split(',') ?? [];
  const isOwnForm = locations.every((one) => toLocation(one) === one) && new Set(locations).size === locations.length;
  const isGood = isOwnForm && locations.length <= MAX_LOCATIONS;
  return isGood ? { sha256, locations } : undefined;
}

/** Prints a reference; names each location once, and no more of them than it may. */
export function printBlobReference(sha256: string, locations: readonly string[] = []): string {
  const named = [...new Set(locations.flatMap((one) => toLocation(one) ?? []))].slice(0, MAX_LOCATIONS);
  return `${SCHEME}${sha256}${named.length > 0 ? `@${named.join(',')}` : ''}`;
}

/**
 * Returns the address of a storage API in the form that references have: without credentials, query and
 * trailing slash. Undefined for what is no such address, or too long.
 */
export function toLocation(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined;
  const { protocol, href } = new URL(address);
  const location = href.replace(/\/+$/, '');
  const isPlain = ['http:', 'https:'].includes(protocol) && !/[,@?#]/.test(location);
  return isPlain && location.length <= MAX_LOCATION_CHARACTERS ? location : undefined;
}

/**
 * Returns the blob that a reference promises, also by `https://…#sha256=<hex>`; undefined where it promises
 * none.
 */
export function promisedHash(reference: string): Sha256 | undefined {
  const inUrl = /^https:.*#sha256=([0-9a-f]{64})$/.exec(reference)?.[1];
  return parseBlobReference(reference)?.sha256 ?? Sha256.safeParse(inUrl).data;
}
