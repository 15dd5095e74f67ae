/** Which blobs belong to a job: by its request, its result and its verdict on chain, and by its manifest. */
import type { StoredBlobs } from '../blobs/stored-blobs';
import type { NamedBlob } from '../domain/blob-access';
import { type BlobReference, parseBlobReference } from '../domain/blob-reference';
import type { Address, JobId, Sha256 } from '../domain/ids';
import type { ChainState } from '../domain/job';
import { BoundedMap } from '../lib/bounded-map';
import { inTurn } from '../lib/in-turn';
import { parseJson } from '../lib/parse-json';
import { JobParams } from '../protocol/job-params';
import type { Manifest } from '../protocol/manifest';
import { readStoredList } from './stored-list';
import { readStoredManifest } from './stored-manifest';

/** What the chain says of a job, as far as it decides who may read what. */
export interface JobRecord {
  state: ChainState;
  /** End of the present window. */
  deadlineMs: number;
  requester: Address;
  /** The node that has the job, or submitted its result. */
  node?: Address | undefined;
  dataset: string;
  params: string;
  /** Hash of the manifest. */
  result?: Sha256 | undefined;
  /** The beginning of the hash of the evidence for which its result was rejected. */
  evidence?: string | undefined;
}

export interface NamedBlobsDeps {
  blobs: Pick<StoredBlobs, 'stat' | 'openRead'>;
  /** Whether the account has shown that it has all bytes of a blob. */
  isHolder(sha256: Sha256, account: Address): Promise<boolean>;
}

/** A manifest as far as it names blobs. */
interface NamesOfResult {
  /** Undefined for a result that is no manifest. */
  jobId?: string | undefined;
  names: ReadonlySet<string>;
  /** The file list of its base. */
  list?: Sha256 | undefined;
}

/** Of all manifests that are remembered together: some 25 MB. */
const MAX_NAMES = 200_000;
/** File lists that are remembered, each with a few hundred names at most. */
const MAX_LISTS = 100;

/**
 * Knows the blobs of jobs. Manifests are read from the storage's own blobs, one at a time, and remembered.
 */
export class NamedBlobs {
  /** By the manifest's hash, the one used longest ago first. */
  private readonly known = new Map<Sha256, NamesOfResult>();
  private readonly lists = new BoundedMap<Sha256, ReadonlySet<string>>(MAX_LISTS);
  private readonly inOrder = inTurn();

  constructor(private readonly deps: NamedBlobsDeps) {}

  /** Returns what a blob is to a job; undefined for one that the job does not name. */
  async find(jobId: JobId, job: JobRecord, sha256: Sha256): Promise<NamedBlob | undefined> {
    if (job.evidence !== undefined && sha256.startsWith(job.evidence)) return { role: 'record', isHeld: true };
    if (parseBlobReference(job.dataset)?.sha256 === sha256) {
      const isHeld = await this.deps.isHolder(sha256, job.requester);
      if (isHeld) return { role: 'data', isHeld };
    }
    return (
      (await this.findInBase(job, sha256)) ??
      (await this.findInResult(jobId, job, sha256)) ??
      this.unheldData(job, sha256)
    );
  }

  /** The base that the request names is data as its data set is: its requester has to have list and files. */
  private async findInBase({ params, requester }: JobRecord, sha256: Sha256): Promise<NamedBlob | undefined> {
    const list = requestedBase(params)?.sha256;
    if (list === undefined || !(await this.deps.isHolder(list, requester))) return undefined;
    const isNamed = sha256 === list || (await this.filesOf(list)).has(sha256);
    return isNamed && (await this.deps.isHolder(sha256, requester)) ? { role: 'data', isHeld: true } : undefined;
  }

  /** None of a list that is not here: it may come later. */
  private async filesOf(list: Sha256): Promise<ReadonlySet<string>> {
    const files = this.lists.get(list) ?? new Set(await readStoredList(this.deps.blobs, list));
    if (files.size > 0) this.lists.set(list, files);
    return files;
  }

  private async findInResult(
    jobId: JobId,
    { node, result }: JobRecord,
    sha256: Sha256,
  ): Promise<NamedBlob | undefined> {
    // A result that its node does not hold is another's blob: neither read here nor given to anybody.
    if (node === undefined || result === undefined || !(await this.deps.isHolder(result, node))) return undefined;
    const named = await this.namesOf(result);
    if (sha256 === result) return { role: named?.jobId === jobId ? 'record' : 'work', isHeld: true };
    if (named?.jobId !== jobId) return undefined;
    const { names, list } = named;
    const isNamed = names.has(sha256) || (list !== undefined && (await this.isInList(list, node, sha256)));
    if (!isNamed) return undefined;
    return { role: 'work', isHeld: await this.deps.isHolder(sha256, node) };
  }

  private async isInList(list: Sha256, node: Address, sha256: Sha256): Promise<boolean> {
    return (await this.deps.isHolder(list, node)) && (await this.filesOf(list)).has(sha256);
  }

  private unheldData({ dataset, params }: JobRecord, sha256: Sha256): NamedBlob | undefined {
    const isNamed = parseBlobReference(dataset)?.sha256 === sha256 || requestedBase(params)?.sha256 === sha256;
    return isNamed ? { role: 'data', isHeld: false } : undefined;
  }

  /** Undefined for a result that is not here. */
  private async namesOf(result: Sha256): Promise<NamesOfResult | undefined> {
    const known = this.known.get(result) ?? (await this.inOrder(() => this.read(result)));
    if (!known) return undefined;
    this.known.delete(result);
    this.known.set(result, known);
    this.forgetSome();
    return known;
  }

  private async read(result: Sha256): Promise<NamesOfResult | undefined> {
    const known = this.known.get(result);
    if (known) return known;
    // An own storage that lacks the result may get it later; one that has something else keeps that.
    if (!(await this.deps.blobs.stat(result))) return undefined;
    return namesIn(await readStoredManifest(this.deps.blobs, result));
  }

  private forgetSome(): void {
    let names = [...this.known.values()].reduce((sum, { names: { size } }) => sum + size + 1, 0);
    for (const [result, { names: gone }] of this.known) {
      if (names <= MAX_NAMES || this.known.size === 1) return;
      this.known.delete(result);
      names -= gone.size + 1;
    }
  }
}

/** Whether a job's requester lets everybody read it. */
export function isPublicJob({ params }: Pick<JobRecord, 'params'>): boolean {
  return JobParams.safeParse(parseJson(params)).data?.public === true;
}

/** Returns the file list that a request's parameters name as its base; undefined where they name none. */
export function requestedBase(params: string): BlobReference | undefined {
  const asked = JobParams.safeParse(parseJson(params)).data;
  return asked === undefined || asked.tune === 'none' ? undefined : parseBlobReference(asked.base);
}

function namesIn(manifest: Manifest | undefined): NamesOfResult {
  if (!manifest) return { names: new Set() };
  const { jobId, dataset, base, rounds, audits, model } = manifest;
  const names = new Set<string>([dataset.sha256]);
  for (const { theta, nextTheta, delta, leases } of rounds) {
    for (const name of [theta, nextTheta, delta]) names.add(name);
    for (const { shard, update } of leases) names.add(shard).add(update);
  }
  for (const { update } of audits) names.add(update);
  for (const file of model) names.add(file.sha256);
  if (base) names.add(base.list);
  return { jobId, names, list: base?.list };
}
