/** A model hub on this machine, by the routes that huggingface_hub lists and fetches files with. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gitBlobHash } from '../../src/blobs/hub';
import { sha256 } from '../../src/lib/hash';
import type { BaseFiles } from './tiny-base';

/** A repository as it is at one commit. */
interface Snapshot {
  readonly commit: string;
  readonly files: BaseFiles;
}

export interface HubServer extends AsyncDisposable {
  readonly url: string;
  /** Paths asked for, in order, each with its range. */
  readonly asked: string[];
  /** What the next requests get instead of an answer; each is used once. */
  readonly faults: HubFault[];
  /** Makes these files the newest commit of the main branch, and returns it. */
  commit(repo: string, files: BaseFiles, options?: { isPrivate?: boolean }): string;
  /** Serves other bytes for a file than are listed. */
  swap(repo: string, name: string, bytes: Buffer): void;
}

/** For requests whose path has `path` in it. */
export interface HubFault {
  readonly path: string;
  /** Answers with this status. */
  readonly status?: number;
  readonly code?: string;
  /** Ends the connection after so many bytes of a body. */
  readonly cutAfter?: number;
  readonly redirect?: string;
  /** Knows no ranges. */
  readonly whole?: boolean;
  /** Answers, in its own words, for this commit. */
  readonly commit?: string;
}

/** Files from here on are listed with their sha256, as large files are. */
export const LARGE_BYTES = 2000;

interface State {
  readonly repos: Map<string, { snapshots: Snapshot[]; isPrivate: boolean }>;
  readonly swapped: Map<string, Buffer>;
  readonly faults: HubFault[];
  readonly asked: string[];
  readonly token: string | undefined;
  url: string;
}

/** Opens a hub; with a token, private repositories are shown to whoever has it. */
export async function openHubServer(options: { token?: string; pageSize?: number } = {}): Promise<HubServer> {
  const state: State = {
    repos: new Map(),
    swapped: new Map(),
    faults: [],
    asked: [],
    token: options.token,
    url: '',
  };
  const server = createServer((request, response) => answer(request, response, state, options.pageSize ?? 1000));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: state.url,
    asked: state.asked,
    faults: state.faults,
    commit(repo, files, { isPrivate = false } = {}) {
      const known = state.repos.get(repo) ?? { snapshots: [], isPrivate };
      const commit = createHash('sha1').update(`${repo} ${known.snapshots.length}`).digest('hex');
      state.repos.set(repo, { isPrivate, snapshots: [...known.snapshots, { commit, files }] });
      return commit;
    },
    swap: (repo, name, bytes) => void state.swapped.set(`${repo} ${name}`, bytes),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse, state: State, pageSize: number): void {
  const { pathname: path, searchParams } = new URL(request.url ?? '/', state.url);
  const range = request.headers.range === undefined ? '' : ` ${request.headers.range}`;
  state.asked.push(`${request.method} ${path}${range}`);
  const found = state.faults.findIndex((fault) => path.includes(fault.path));
  const [fault] = found < 0 ? [] : state.faults.splice(found, 1);
  if (fault?.redirect !== undefined) return end(response, 302, '', { location: fault.redirect });
  if (fault?.status !== undefined) return refuse(response, fault.status, fault.code ?? '');
  answerWell(request, response, { state, path, fault, pageSize, cursor: Number(searchParams.get('cursor') ?? 0) });
}

interface Question {
  readonly state: State;
  readonly path: string;
  readonly fault: HubFault | undefined;
  readonly pageSize: number;
  readonly cursor: number;
}

function answerWell(request: IncomingMessage, response: ServerResponse, question: Question): void {
  const { state, path, fault } = question;
  const [, kind, repo = '', what = '', rest = ''] =
    /^\/(api\/models)\/([^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(path) ??
    /^\/()([^/]+\/[^/]+)\/(resolve)\/(.+)$/.exec(path) ??
    [];
  const known = state.repos.get(repo);
  const isShown = !known?.isPrivate || request.headers.authorization === `Bearer ${state.token}`;
  if (kind === undefined || !known || !isShown) return refuse(response, 401, 'RepoNotFound');
  const [revision = '', ...names] = what === 'resolve' ? rest.split('/') : [rest];
  const snapshot = find(known.snapshots, decodeURIComponent(revision));
  if (!snapshot) return refuse(response, 404, 'RevisionNotFound');
  const commit = fault?.commit ?? snapshot.commit;
  if (what === 'revision') return endJson(response, describe(repo, { ...snapshot, commit }, known.isPrivate));
  if (what === 'tree') return endTree(response, snapshot, question);
  const name = decodeURIComponent(names.join('/'));
  const bytes = snapshot.files[name];
  if (!bytes) return refuse(response, 404, 'EntryNotFound');
  const headers = { 'x-repo-commit': commit, etag: `"${sha256(bytes)}"`, 'accept-ranges': 'bytes' };
  endFile(request, response, state.swapped.get(`${repo} ${name}`) ?? bytes, headers, fault);
}

function find(snapshots: readonly Snapshot[], revision: string): Snapshot | undefined {
  return revision === 'main' ? snapshots.at(-1) : snapshots.find(({ commit }) => commit === revision);
}

function describe(repo: string, { commit, files }: Snapshot, isPrivate: boolean) {
  const siblings = Object.keys(files).map((rfilename) => ({ rfilename }));
  return { _id: '1', id: repo, modelId: repo, sha: commit, private: isPrivate, gated: false, tags: [], siblings };
}

function endTree(response: ServerResponse, { files }: Snapshot, { path, cursor, pageSize, state }: Question): void {
  const entries = Object.entries(files).map(([name, bytes]) => ({
    type: 'file',
    path: name,
    size: bytes.length,
    oid: gitBlobHash(bytes),
    ...(bytes.length < LARGE_BYTES ? {} : { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 134 } }),
  }));
  const next = cursor + pageSize;
  const link = `<${state.url}${path}?recursive=true&cursor=${next}>; rel="next"`;
  endJson(response, entries.slice(cursor, next), next < entries.length ? { link } : {});
}

function endFile(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Buffer,
  headers: Record<string, string>,
  fault: HubFault | undefined,
): void {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(fault?.whole ? '' : (request.headers.range ?? '')) ?? [];
  const start = Number(first ?? 0);
  const stop = last ? Math.min(Number(last) + 1, bytes.length) : bytes.length;
  const piece = bytes.subarray(start, stop);
  const ranged = first === undefined ? {} : { 'content-range': `bytes ${start}-${stop - 1}/${bytes.length}` };
  response.writeHead(first === undefined ? 200 : 206, { ...headers, ...ranged, 'content-length': piece.length });
  if (request.method === 'HEAD') return void response.end();
  if (fault?.cutAfter === undefined) return void response.end(piece);
  response.write(piece.subarray(0, fault.cutAfter), () => response.destroy());
}

function refuse(response: ServerResponse, status: number, code: string): void {
  end(response, status, JSON.stringify({ error: code }), code ? { 'x-error-code': code, 'x-error-message': code } : {});
}

function endJson(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  end(response, 200, JSON.stringify(value), { 'content-type': 'application/json', ...headers });
}

function end(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, headers).end(text);
}
