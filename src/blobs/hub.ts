/** A model hub: which files a repository has at a commit, and these files, each checked against the list. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { MAX_PLAIN_BYTES } from '../domain/base-files';
import { type HubReference, isCommit } from '../domain/base-reference';
import { Sha256 } from '../domain/ids';
import { describeError, errorCode } from '../lib/errors';
import { sha256 } from '../lib/hash';
import { parseJson } from '../lib/parse-json';
import type { BlobPart, BlobStore } from './blob-store';
import { type ForeignAnswer, type HttpsRules, requestForeign } from './https-download';
import { type AskedRepository, hubAway, oddHub, otherHubBytes, privateAtHub, refusedByHub } from './hub-errors';
import type { BlobSink, RemoteOptions } from './remote-blobs';
import { completePart, persist } from './resumable';

export interface HubPlace {
  /** Address of the hub: it alone may also lie in a private network, and speak plain http. */
  readonly endpoint: string;
  /** Shown to the hub alone, never to where it redirects. */
  readonly token?: string | undefined;
  /** Exceptions to what is allowed of the places that the hub redirects to. */
  readonly https?: HttpsRules | undefined;
  /** Failures in a row after which a transfer fails. */
  readonly attempts?: number | undefined;
  /** The longest that nothing may arrive. */
  readonly idleMs?: number | undefined;
}

/** A file of a repository, with the hash that the hub lists for it. */
export interface HubFile {
  readonly name: string;
  readonly bytes: number;
  /** Of large files. */
  readonly sha256?: Sha256 | undefined;
  /** Of the others: the name that git gives to their bytes. */
  readonly gitHash: string;
}

/** A repository at one commit. Only files that lie in no folder are listed. */
export interface HubRepository {
  readonly repo: string;
  readonly commit: string;
  readonly files: readonly HubFile[];
}

type HubCommit = Pick<HubRepository, 'repo' | 'commit'>;

const Hex40 = z.string().regex(/^[0-9a-f]{40}$/);
const Info = z.looseObject({ sha: Hex40, private: z.boolean().optional() });
const Tree = z.array(
  z.looseObject({
    type: z.string(),
    path: z.string(),
    size: z.int().min(0).optional(),
    oid: Hex40.optional(),
    lfs: z.looseObject({ oid: Sha256, size: z.int().min(0) }).optional(),
  }),
);

const MAX_ANSWER_BYTES = 16 * 2 ** 20;
/** Of a thousand entries each. */
const MAX_PAGES = 20;
const IDLE_MS = 30_000;

/** Reads of one hub. What is not as the hub lists it is refused. */
export class Hub {
  private readonly endpoint: string;

  constructor(private readonly place: HubPlace) {
    this.endpoint = place.endpoint.replace(/\/+$/, '');
  }

  /** Finds out what a reference means now. Throws `base/…`, also for a repository that is private. */
  async resolve({ repo, revision = 'main' }: HubReference, signal?: AbortSignal): Promise<HubRepository> {
    const path = `api/models/${repo}/revision/${encodeURIComponent(revision)}`;
    const { sha: commit, private: isPrivate } = (await this.json(repo, path, Info, signal)).value;
    if (isPrivate) throw privateAtHub(this.asked(repo));
    if (isCommit(revision) && commit !== revision) throw oddHub(this.asked(repo), `it answers for commit ${commit}`);
    return { repo, commit, files: await this.list(repo, commit, signal) };
  }

  /** Brings a file into a store, under the hash of its bytes. Throws `base/other-bytes` where they differ. */
  async download(
    from: HubCommit,
    file: HubFile,
    into: BlobSink & Pick<BlobStore, 'addBytes'>,
    options: RemoteOptions = {},
  ): Promise<{ sha256: Sha256; bytes: number }> {
    const { name, bytes } = file;
    if (file.sha256 === undefined) {
      // Hubs list all that is larger by its sha256; this is read into memory.
      if (bytes > MAX_PLAIN_BYTES) throw oddHub(this.asked(from.repo), `it lists no sha256 of ${name}`);
      return into.addBytes(await this.read(from, file, 0, bytes, options.signal));
    }
    const large = { name, bytes, sha256: file.sha256 };
    try {
      await this.persist(options.signal, async (onProgress) => {
        const part = await into.openPartInTurn(large.sha256);
        if (!part) return;
        const receive = () => this.receive(from, file, part, { ...options, onMore: onProgress });
        await completePart(part, bytes, receive).finally(() => part.close());
      });
    } catch (error) {
      throw errorCode(error) === 'blobs/hash-mismatch' ? otherHubBytes(this.asked(from.repo), name, error) : error;
    }
    return large;
  }

  /** Returns some bytes of a file, which are checked where they are all of it. */
  async read(from: HubCommit, file: HubFile, start: number, length: number, signal?: AbortSignal): Promise<Buffer> {
    const bytes = await this.persist(signal, () =>
      this.get(from, file, { start, length, signal }, async (body, at) => {
        const read = await readUpTo(body, start - at + length);
        if (read.length === start - at + length) return read.subarray(start - at);
        throw hubAway(this.asked(from.repo), new Error('the transfer was cut'));
      }),
    );
    const isWhole = start === 0 && length === file.bytes;
    const hash = file.sha256 === undefined ? gitBlobHash(bytes) : sha256(bytes);
    if (isWhole && hash !== (file.sha256 ?? file.gitHash)) throw otherHubBytes(this.asked(from.repo), file.name);
    return bytes;
  }

  /** Fetches the rest of a part. */
  private async receive(
    from: HubCommit,
    file: HubFile,
    part: BlobPart,
    { signal, onProgress, onMore }: RemoteOptions & { onMore(): void },
  ): Promise<void> {
    await this.get(from, file, { start: part.offset, signal }, async (body, at) => {
      // A server that knows no ranges begins again.
      if (at < part.offset) await part.discard();
      for await (const piece of body) {
        if (part.offset + piece.length > file.bytes) throw otherHubBytes(this.asked(from.repo), file.name);
        await part.append(piece);
        onMore();
        onProgress?.(part.offset, file.bytes);
      }
    });
    if (part.offset < file.bytes) throw hubAway(this.asked(from.repo), new Error('the transfer was cut'));
  }

  private async list(repo: string, commit: string, signal: AbortSignal | undefined): Promise<HubFile[]> {
    const files: HubFile[] = [];
    const path = `api/models/${repo}/tree/${commit}?recursive=true`;
    let next: string | undefined = path;
    for (let page = 0; next !== undefined; page++) {
      if (page === MAX_PAGES) throw oddHub(this.asked(repo), 'its list of files does not end');
      const { value, link }: { value: z.infer<typeof Tree>; link: string } = await this.json(repo, next, Tree, signal);
      for (const { type, path: name, size = 0, oid, lfs } of value) {
        if (type !== 'file' || name.includes('/') || oid === undefined) continue;
        files.push({ name, bytes: lfs?.size ?? size, sha256: lfs?.oid, gitHash: oid });
      }
      const cursor = cursorOf(link, this.endpoint);
      next = cursor === undefined ? undefined : `${path}&cursor=${encodeURIComponent(cursor)}`;
    }
    return files;
  }

  private async json<T>(
    repo: string,
    path: string,
    schema: z.ZodType<T>,
    signal: AbortSignal | undefined,
  ): Promise<{ value: T; link: string }> {
    const asked = this.asked(repo);
    return this.persist(signal, () =>
      this.ask(repo, path, { signal }, async ({ headers, body }) => {
        const { data, error } = schema.safeParse(parseJson((await readUpTo(body, MAX_ANSWER_BYTES)).toString('utf8')));
        if (data === undefined) throw oddHub(asked, 'what answers there is no model hub', error);
        return { value: data, link: String(headers.link ?? '') };
      }),
    );
  }

  /** Opens a file from an offset on; `use` is told where the bytes that it gets begin. */
  private get<T>(
    { repo, commit }: HubCommit,
    { name }: HubFile,
    { start, length, signal }: { start: number; length?: number; signal?: AbortSignal | undefined },
    use: (body: AsyncIterable<Uint8Array>, at: number) => Promise<T>,
  ): Promise<T> {
    const end = length === undefined ? '' : start + length - 1;
    const range = start === 0 && length === undefined ? undefined : `bytes=${start}-${end}`;
    const path = `${repo}/resolve/${commit}/${encodeURIComponent(name)}`;
    return this.ask(repo, path, { range, signal }, async ({ statusCode, headers, body }) => {
      const answered = headers['x-repo-commit'] ?? commit;
      if (answered !== commit) throw oddHub(this.asked(repo), `it answers for commit ${answered}`);
      return use(body, statusCode === 206 ? start : 0);
    });
  }

  /** Asks once. Throws `base/…` for every other answer than the one asked for, and for a cut body. */
  private async ask<T>(
    repo: string,
    path: string,
    { range, signal }: { range?: string | undefined; signal: AbortSignal | undefined },
    use: (answer: ForeignAnswer) => Promise<T>,
  ): Promise<T> {
    const { token, https, idleMs = IDLE_MS } = this.place;
    const asked = this.asked(repo);
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const headers = { 'user-agent': 'emeth-node', ...(range === undefined ? {} : { range }), ...authorization };
    const url = new URL(`${this.endpoint}/${path}`);
    const options = { ...https, ownOrigin: url.origin, method: 'GET' as const, headers, signal, idleMs };
    try {
      return await requestForeign(url, options, async (answer) => {
        const { statusCode } = answer;
        if (statusCode === 200 || (statusCode === 206 && range !== undefined))
          return use({ ...answer, body: piecesOf(asked, answer.body) });
        throw refusedByHub(asked, statusCode, answer.headers['x-error-code']);
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (errorCode(error) === 'https/forbidden-address') throw oddHub(asked, describeError(error), error);
      const isLate = error instanceof DOMException && error.name === 'TimeoutError';
      throw isLate || errorCode(error) === 'https/failed' ? hubAway(asked, error) : error;
    }
  }

  private persist<T>(signal: AbortSignal | undefined, work: (onProgress: () => void) => Promise<T>): Promise<T> {
    const isPassing = (error: unknown) => errorCode(error) === 'base/hub-away';
    return persist({ attempts: this.place.attempts, isPassing, signal }, work);
  }

  private asked(repo: string): AskedRepository {
    return { repo, endpoint: this.endpoint, hasToken: this.place.token !== undefined };
  }
}

/** The name that git gives to a file's bytes. */
export function gitBlobHash(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

async function* piecesOf(asked: AskedRepository, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of body) yield piece;
  } catch (error) {
    throw hubAway(asked, error);
  }
}

/** Of the next page, which lies where the first one does: nothing else is believed of its address. */
function cursorOf(link: string, endpoint: string): string | undefined {
  const url = /<([^>]+)>\s*;\s*rel="?next"?/.exec(link)?.[1];
  if (url === undefined || !URL.canParse(url, `${endpoint}/`)) return undefined;
  return new URL(url, `${endpoint}/`).searchParams.get('cursor') ?? undefined;
}

/** Reads at most so many bytes; what is behind them is dropped. */
async function readUpTo(body: AsyncIterable<Uint8Array>, most: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes >= most) break;
  }
  return Buffer.concat(pieces).subarray(0, most);
}
