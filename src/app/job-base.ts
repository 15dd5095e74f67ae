/** Base models for a master: only for jobs whose requester may have them trained, and kept as directories. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BaseDirectory, openBaseDir } from '../blobs/base-dir';
import { baseError } from '../blobs/base-errors';
import { type BaseFacts, type BaseFile, readBaseFacts } from '../blobs/base-facts';
import { readerOfDirectory } from '../blobs/base-reader';
import { type BaseOptions, type FoundBase, findBase, listOf } from '../blobs/base-source';
import { BlobStore } from '../blobs/blob-store';
import { openReadPass } from '../blobs/read-pass';
import { Address, type Sha256 } from '../domain/ids';
import type { DiskFloor } from '../lib/disk-floor';
import type { ListedFile } from '../protocol/file-list';
import type { JobRow } from '../store/jobs';
import { blobReaderOf } from './blob-reader';
import { apartDir, type JobDataDeps } from './job-data';

export interface JobBaseDeps extends Pick<JobDataDeps, 'blobs' | 'holders' | 'wallet'> {
  options: BaseOptions;
  /** Where the directories of all bases lie. */
  root: string;
  disk: Pick<DiskFloor, 'require'>;
  /** Makes room on the disk for a base, as far as that can be done. */
  makeRoom(bytes: number): Promise<void>;
}

/** A base that is here whole. */
export interface FetchedBase {
  readonly list: Sha256;
  readonly commit?: string | undefined;
  readonly facts: BaseFacts;
  /** Its files and its list. */
  readonly blobs: readonly { sha256: Sha256; bytes: number }[];
}

type JobOfBase = Pick<JobRow, 'id' | 'requester'>;

/** Holds what a hub shows to everybody. */
const EVERYBODY = Address.parse(`0x${'0'.repeat(40)}`);

/**
 * Fetches the base of a job and makes its directory. As with data sets, what is here from somebody else's job
 * is not used for one who only names it: it has to come from a storage that gives it for this job, or from
 * the hub, as if nothing were here. Throws `base/…`, and `disk/low`.
 */
export async function fetchJobBase(
  job: JobOfBase,
  reference: string,
  deps: JobBaseDeps,
  signal: AbortSignal,
): Promise<FetchedBase> {
  const dir = join(apartDir(deps.blobs), `${job.id}-base`);
  const apart = new BlobStore(dir);
  const pass = openReadPass(job.id, blobReaderOf(deps.wallet));
  try {
    const found = await findBase(reference, deps.options, { signal, pass, lists: apart });
    // Nobody has checked these parts of files; but what cannot be trained is not fetched as a whole.
    await readBaseFacts(found);
    const files = await fetchFiles(found, { job, apart, deps, signal });
    return await makeBase(found, files, job, deps);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Returns the directory of a base that was fetched before; makes it again where it is gone. */
export function openFetchedBase(
  list: Sha256,
  { root, blobs }: Pick<JobBaseDeps, 'root' | 'blobs'>,
): Promise<BaseDirectory> {
  const fetch = async (sha256: Sha256) => {
    throw baseError('base/missing', `sha256:${list}`, `is not here any more: its blob ${sha256} is gone.`);
  };
  return openBaseDir(list, { root, blobs, fetch, maxBytes: Number.MAX_SAFE_INTEGER });
}

interface Fetching {
  readonly job: JobOfBase;
  /** What arrives although it is here. */
  readonly apart: BlobStore;
  readonly deps: JobBaseDeps;
  readonly signal: AbortSignal;
}

/** A file of a base, and where it has to arrive; undefined for one that is here and may be used. */
interface WantedFile extends BaseFile {
  readonly into?: BlobStore | undefined;
}

async function fetchFiles(found: FoundBase, { job, apart, deps, signal }: Fetching): Promise<ListedFile[]> {
  const wanted: WantedFile[] = [];
  for (const file of found.files) wanted.push({ ...file, into: await placeFor(file, { job, apart, deps }) });
  await requireRoom(wanted, apart, deps);
  const files: ListedFile[] = [];
  for (const { name, bytes, sha256, into } of wanted) {
    if (sha256 !== undefined && into === undefined) {
      files.push({ name, sha256, bytes });
      continue;
    }
    const fetched = await found.download(name, into ?? apart, { signal });
    if (into === apart) await apart.remove(fetched.sha256);
    await deps.holders.add(fetched.sha256, found.list === undefined ? EVERYBODY : job.requester);
    files.push({ name, ...fetched });
  }
  return files;
}

/** A small file of a hub has no name before it is here; it counts as new. */
async function placeFor(
  { sha256 }: BaseFile,
  { job, apart, deps }: Omit<Fetching, 'signal'>,
): Promise<BlobStore | undefined> {
  if (sha256 === undefined || !(await deps.blobs.stat(sha256))) return deps.blobs;
  return (await isTheirs(sha256, job, deps)) ? undefined : apart;
}

/** What arrives apart goes again at once, one file after the other. */
async function requireRoom(
  wanted: readonly WantedFile[],
  apart: BlobStore,
  { disk, makeRoom }: Pick<JobBaseDeps, 'disk' | 'makeRoom'>,
): Promise<void> {
  const passing = wanted.filter(({ into }) => into === apart).map(({ bytes }) => bytes);
  const staying = wanted.reduce((sum, { into, bytes }) => sum + (into && into !== apart ? bytes : 0), 0);
  const bytes = staying + Math.max(0, ...passing);
  await makeRoom(bytes);
  await disk.require(bytes);
}

async function makeBase(
  found: FoundBase,
  files: readonly ListedFile[],
  { requester }: JobOfBase,
  { root, blobs, holders, options: { maxBytes } }: JobBaseDeps,
): Promise<FetchedBase> {
  const { text } = listOf(files);
  const list = await blobs.addBytes(Buffer.from(text));
  // This master's own storage then gives it to the job's verifiers too.
  await holders.add(list.sha256, requester);
  const fetch = async (sha256: Sha256) => {
    throw new Error(`The blob ${sha256} of a base was fetched, and is not here`);
  };
  const { path } = await openBaseDir(list.sha256, { root, blobs, fetch, maxBytes });
  const facts = await readBaseFacts(readerOfDirectory(found.base, path, files));
  return { list: list.sha256, commit: found.commit, facts, blobs: [...files, list] };
}

/** Whether a blob that is here may be used for the job: the requester has it, or everybody can have it. */
async function isTheirs(
  sha256: Sha256,
  { requester }: JobOfBase,
  { holders, wallet }: Pick<JobBaseDeps, 'holders' | 'wallet'>,
): Promise<boolean> {
  if (requester === wallet.address || (await holders.has(sha256, requester))) return true;
  return holders.has(sha256, EVERYBODY);
}
