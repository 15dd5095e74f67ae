/** Blobs that several storages may have: those of the configuration, and those that a reference names. */
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { toLocation } from '../domain/blob-reference';
import type { Sha256 } from '../domain/ids';
import { AppError, errorCode } from '../lib/errors';
import { type AskStorage, sendWithin } from './ask-storage';
import { type HttpsRules, keepConnections, openForeign } from './https-download';
import type { ReadPass } from './read-pass';
import { type BlobSink, both, isPassing, type RemoteBlobError, RemoteBlobs, type RemoteOptions } from './remote-blobs';

/** Where blobs may be read from. */
export interface BlobPlaces {
  /** The storages of the configuration, in the order in which they are asked. */
  readonly storages: readonly string[];
  /**
   * Whether those that references name may also lie in private networks or on this machine, over plain http.
   */
  readonly allowPrivate: boolean;
  /** Exceptions to what else is allowed of those that references name. */
  readonly https?: HttpsRules | undefined;
  /** The longest that a storage may be silent where others may have the blob as well. */
  readonly quickMs?: number | undefined;
}

/** What a reader of blobs needs of the storages. */
export interface BlobSource {
  /** Returns the size of a blob. Throws `blobs/…`. */
  size(sha256: Sha256, signal?: AbortSignal): Promise<number>;
  /** Downloads a blob into a store, which verifies its hash. Throws `blobs/…`. */
  download(sha256: Sha256, into: BlobSink, maxBytes: number, options?: RemoteOptions): Promise<{ bytes: number }>;
}

/** A source of which parts can be read as well. */
export interface BlobParts extends BlobSource {
  /** Returns exactly these bytes of a blob. Nothing checks them. Throws `blobs/…`. */
  read(sha256: Sha256, start: number, length: number, options?: RemoteOptions): Promise<Buffer>;
}

interface Place {
  readonly blobs: RemoteBlobs;
  /** Whether the operator named it; what it says counts before what others say. */
  readonly isConfigured: boolean;
  /** When it last could not be asked. */
  failedAtMs?: number | undefined;
  /** Whether it sent bytes of another hash. */
  isLiar?: boolean | undefined;
}

const QUICK_MS = 5_000;
const askQuickly = sendWithin(QUICK_MS, QUICK_MS);
/** A storage that could not be asked comes last for so long. */
const AVOID_MS = 60_000;
/**
 * Below this speed a storage that a stranger named is too slow, once it was asked for twice the longest
 * silence.
 */
const SLOWEST_BYTES_PER_MS = 16;
/** How often all of them are asked, while one that counts cannot be asked. */
const PASSES = 5;
/** Bytes by which a transfer has to get further to be taken up again, and how often it is. */
const LEAST_PROGRESS = 64 * 1024;
const MAX_CUTS = 200;
/** What only says something about the storage that was asked. */
const ITS_OWN = [
  'blobs/not-stored',
  'blobs/storage-unreachable',
  'blobs/storage-refused',
  'blobs/too-large',
  'blobs/hash-mismatch',
  'blobs/no-access',
  'blobs/key-needed',
];

/** Opens the storages of the configuration, and behind them the locations of a reference. */
export function openSource(places: BlobPlaces, locations: readonly string[] = []): BlobParts {
  const own = places.storages.map((storage) => toLocation(storage) ?? storage);
  const named = locations.filter((location) => !own.includes(location));
  const [only] = places.storages;
  if (only !== undefined && own.length === 1 && named.length === 0) return new RemoteBlobs(only);
  const { quickMs = QUICK_MS } = places;
  const quick = { attempts: 1, send: quickMs === QUICK_MS ? askQuickly : sendWithin(quickMs, quickMs) };
  const guarded = places.allowPrivate ? quick : { attempts: 1, send: askGuarded(places.https, quickMs) };
  const all = [
    ...own.map((address) => ({ blobs: new RemoteBlobs(address, quick), isConfigured: true })),
    ...named.map((address) => ({ blobs: new RemoteBlobs(address, guarded), isConfigured: false })),
  ];
  return new LocatedBlobs(all, quickMs);
}

/**
 * Asks one storage after the other; a transfer that one of them cuts goes on with the next at its offset.
 * One that cannot be asked, is slow or lies costs seconds, and comes last afterwards.
 */
class LocatedBlobs implements BlobParts {
  private last: Place | undefined;

  constructor(
    private readonly places: readonly Place[],
    private readonly quickMs: number,
  ) {}

  size(sha256: Sha256, signal?: AbortSignal): Promise<number> {
    return this.inTurn(sha256, signal, ({ blobs }) => blobs.size(sha256, signal));
  }

  async download(
    sha256: Sha256,
    into: BlobSink,
    maxBytes: number,
    options: RemoteOptions = {},
  ): Promise<{ bytes: number }> {
    return this.inTurn(sha256, options.signal, ({ blobs, isConfigured }, noteBytes) => {
      const noted = { ...options, onProgress: both(noteBytes, options.onProgress) };
      if (isConfigured) return blobs.download(sha256, into, maxBytes, noted);
      return unlessSlow(blobs.storageApi, 2 * this.quickMs, noted, (watched) =>
        blobs.download(sha256, into, maxBytes, { ...watched, pass: shownToStrangers(watched.pass) }),
      );
    });
  }

  read(sha256: Sha256, start: number, length: number, options: RemoteOptions = {}): Promise<Buffer> {
    return this.inTurn(sha256, options.signal, ({ blobs, isConfigured }) => {
      const pass = isConfigured ? options.pass : shownToStrangers(options.pass);
      return blobs.read(sha256, start, length, { ...options, pass });
    });
  }

  /**
   * Does `work` with the first storage that can. Throws what the storages of the configuration say, if any.
   * While transfers get further, it goes on however often they are cut.
   */
  private async inTurn<T>(
    sha256: Sha256,
    signal: AbortSignal | undefined,
    work: (place: Place, noteBytes: (done: number) => void) => Promise<T>,
  ): Promise<T> {
    let furthest = 0;
    const noteBytes = (done: number) => {
      furthest = Math.max(furthest, done);
    };
    // A cut loses what had arrived and was not written yet: passes that bring little count together.
    for (let pass = 1, cuts = 0, before = 0; ; pass++) {
      const outcome = await this.onePass(signal, (place) => work(place, noteBytes));
      if ('done' in outcome) return outcome.done;
      const error = decisive(outcome.failures) ?? nowhere(sha256);
      const isFurther = furthest >= before + LEAST_PROGRESS && cuts < MAX_CUTS;
      if (!isFurther && (!isPassing(error) || pass >= PASSES)) throw error;
      if (isFurther) [pass, cuts, before] = [1, cuts + 1, furthest];
      await delay((this.quickMs / 50) * 3 ** (pass - 1), undefined, signal ? { signal } : {});
    }
  }

  /** Asks each storage once, until one of them has done the work. */
  private async onePass<T>(
    signal: AbortSignal | undefined,
    work: (place: Place) => Promise<T>,
  ): Promise<{ done: T } | { failures: readonly Failure[] }> {
    const failures: Failure[] = [];
    for (const place of this.inOrder()) {
      const outcome = await attempt(place, signal, work);
      if ('error' in outcome) failures.push({ place, error: outcome.error });
      else {
        this.last = place;
        return outcome;
      }
    }
    return { failures };
  }

  /**
   * Lists the storages to ask: the one that served last, then as configured, then those that failed lately.
   */
  private inOrder(): Place[] {
    const rank = (place: Place) => {
      if (place.failedAtMs !== undefined && Date.now() < place.failedAtMs + AVOID_MS) return 2;
      return place === this.last ? 0 : 1;
    };
    return this.places
      .filter(({ isLiar, isConfigured }) => isConfigured || !isLiar)
      .sort((one, other) => rank(one) - rank(other));
  }
}

interface Failure {
  readonly place: Place;
  readonly error: unknown;
}

/** Does `work` with one storage, and notes what is wrong with it. Throws what is no fault of the storage. */
async function attempt<T>(
  place: Place,
  signal: AbortSignal | undefined,
  work: (place: Place) => Promise<T>,
): Promise<{ done: T } | { error: unknown }> {
  try {
    const done = await work(place);
    place.failedAtMs = undefined;
    return { done };
  } catch (error) {
    signal?.throwIfAborted();
    if (!ITS_OWN.includes(errorCode(error))) throw error;
    if (errorCode(error) === 'blobs/hash-mismatch') place.isLiar = true;
    if (isPassing(error)) place.failedAtMs = Date.now();
    return { error };
  }
}

/**
 * Returns what the failures come to. The operator's storages decide: a node must not be able to excuse
 * itself with a location that never answers. Of several, one that may have the blob later counts before one
 * that has it not.
 */
function decisive(failures: readonly Failure[]): unknown {
  const configured = failures.filter(({ place }) => place.isConfigured);
  const errors = (configured.length > 0 ? configured : failures).map(({ error }) => error);
  const isMissing = (error: unknown) => errorCode(error) === 'blobs/not-stored';
  return errors.find(isPassing) ?? errors.find((error) => !isMissing(error)) ?? errors[0];
}

/** Passes the options on with a signal that aborts a transfer below the least speed. */
async function unlessSlow<T>(
  storageApi: string,
  slowAfterMs: number,
  options: RemoteOptions,
  work: (watched: RemoteOptions) => Promise<T>,
): Promise<T> {
  const slow = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, slow.signal]) : slow.signal;
  const startMs = Date.now();
  let startBytes: number | undefined;
  const onProgress = (done: number, total: number) => {
    startBytes ??= done;
    const ms = Date.now() - startMs;
    if (ms > slowAfterMs && done - startBytes < ms * SLOWEST_BYTES_PER_MS) slow.abort();
    options.onProgress?.(done, total);
  };
  try {
    return await work({ ...options, signal, onProgress });
  } catch (error) {
    if (!slow.signal.aborted || options.signal?.aborted) throw error;
    throw new AppError<RemoteBlobError>(
      { code: 'blobs/storage-unreachable', storageApi },
      `The storage ${storageApi} sends its bytes too slowly.`,
      { cause: error },
    );
  }
}

/** Asks under the guards of downloads from strangers. */
function askGuarded(rules: HttpsRules | undefined, idleMs: number): AskStorage {
  const kept = keepConnections();
  return async (url, { method, headers, signal }) => {
    if (method === 'PUT') throw new Error('Nothing is uploaded to a storage that a stranger named');
    const answer = await openForeign(new URL(url), { ...rules, method, headers, signal, idleMs, kept });
    const { body } = answer;
    // What has no body leaves its connection for the next request.
    const dump = async () => void (method === 'HEAD' ? body.resume() : body.destroy());
    return { ...answer, body: Object.assign(body, { dump, text: () => text(body) }) };
  };
}

/** A pass for everything that an account has uploaded is not for storages that somebody else named. */
function shownToStrangers(pass: ReadPass | undefined): ReadPass | undefined {
  return pass?.isOfJob ? pass : undefined;
}

function nowhere(sha256: Sha256): AppError<RemoteBlobError> {
  return new AppError(
    { code: 'blobs/not-stored', sha256, storageApi: '' },
    `No storage is named where the blob ${sha256} might be; set storageApi, or name one behind the reference.`,
  );
}
