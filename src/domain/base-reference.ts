/** References to base models: a list of files in storages, or a repository of a model hub. */
import { type BlobReference, MAX_REFERENCE_CHARACTERS, parseBlobReference } from './blob-reference';

/** A repository of a hub, at a branch, a tag or a commit; without one the hub's main branch. */
export interface HubReference {
  readonly repo: string;
  readonly revision?: string | undefined;
}

export type NamedBase = ({ readonly kind: 'list' } & BlobReference) | ({ readonly kind: 'hub' } & HubReference);

const SCHEME = 'hf:';
/** As the hub itself lets names be: no `..` or `--`, neither `.` nor `-` at an end. */
const NAME = /^(?!.*(--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?$/;
/** Of a branch, a tag or `refs/pr/1`; no part may lead elsewhere in an address. */
const REVISION = /^(?!.*\.\.)[A-Za-z0-9_][\w./-]{0,119}$/;
const COMMIT = /^[0-9a-f]{40}$/;

/** Parses `sha256:<hex>[@<storage>,…]` or `hf:<org>/<name>[@<revision>]`; undefined for anything else. */
export function parseBaseReference(text: string): NamedBase | undefined {
  if (!text.startsWith(SCHEME)) {
    const blob = parseBlobReference(text);
    return blob && { kind: 'list', ...blob };
  }
  if (text.length > MAX_REFERENCE_CHARACTERS) return undefined;
  const [repo = '', revision, ...rest] = text.slice(SCHEME.length).split('@');
  const parts = repo.split('/');
  const isNamed = parts.length === 2 && parts.every((part) => NAME.test(part));
  if (!isNamed || rest.length > 0) return undefined;
  if (revision === undefined) return { kind: 'hub', repo };
  return REVISION.test(revision) ? { kind: 'hub', repo, revision } : undefined;
}

/** Prints the reference that names a repository at one commit for good. */
export function pinHubReference({ repo }: HubReference, commit: string): string {
  return `${SCHEME}${repo}@${commit}`;
}

/** A base as other software is told to find it: a repository at a commit, or a list of some storage. */
export interface BaseName {
  name: string;
  revision?: string | undefined;
}

/** Returns the name of a base whose reference has come to a list, and of a hub to a commit. */
export function nameBase(base: { reference: string; list: string; commit?: string | undefined }): BaseName {
  const parsed = parseBaseReference(base.reference);
  if (parsed?.kind !== 'hub') return { name: `sha256:${base.list}` };
  return { name: parsed.repo, revision: base.commit ?? parsed.revision };
}

/** Whether a revision can never mean other files. */
export function isCommit(revision: string | undefined): revision is string {
  return revision !== undefined && COMMIT.test(revision);
}
