/** How much an account may store, how many uploads may be unfinished, and how long blobs stay. */
import type { Address, Sha256 } from './ids';

/**
 * What a blob is at a storage: a data set or anything else that is paid for by money (`data`), what a node
 * published of a job (`result`), what a verifier said (`evidence`), or a file without a known uploader.
 */
export type BlobPurpose = 'data' | 'result' | 'evidence' | 'found';

/** A blob of a storage's index; while it is unfinished, `bytes` is what was announced. */
export interface StoredBlob {
  sha256: Sha256;
  owner?: Address | undefined;
  purpose: BlobPurpose;
  bytes: number;
  writtenBytes: number;
  beganAtMs: number;
  writtenAtMs: number;
  finishedAtMs?: number | undefined;
  /** When an open job last needed it; at first, when it was complete. */
  neededAtMs: number;
}

/** What an account's right to store rests on. */
export interface StorageAccount {
  /** Its tokens, its credit, and the fees of the open jobs that it requested. */
  moneyWei: bigint;
  /** Open jobs that it has taken as a node. */
  jobs: number;
  isVerifier: boolean;
  /** The account of the storage's own operator, which nothing but the disk bounds. */
  isOwn: boolean;
}

export interface StorageRules {
  bytesPerEmt: number;
  bytesPerJob: number;
  /** Unfinished uploads of one account, and of all. */
  uploadsPerAccount: number;
  uploads: number;
  unfinishedHours: number;
  unusedDays: number;
  keptDays: number;
}

const EMT = 10n ** 18n;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Returns how many bytes an account may store, unfinished uploads included. */
export function allowanceOf(account: StorageAccount, rules: StorageRules): number {
  if (account.isOwn) return Number.MAX_SAFE_INTEGER;
  const byMoney = Number((account.moneyWei * BigInt(rules.bytesPerEmt)) / EMT);
  const duties = account.jobs + (account.isVerifier ? 1 : 0);
  return Math.min(byMoney + duties * rules.bytesPerJob, Number.MAX_SAFE_INTEGER);
}

/** Tells what an account that may upload uploads: nodes and verifiers have their own reasons to. */
export function purposeOf({ jobs, isVerifier, isOwn }: StorageAccount): BlobPurpose {
  if (isVerifier) return 'evidence';
  return jobs > 0 || isOwn ? 'result' : 'data';
}

/** True for a complete blob that an open job needed once. */
export function wasNeeded({ finishedAtMs, neededAtMs }: StoredBlob): boolean {
  return finishedAtMs !== undefined && neededAtMs > finishedAtMs;
}

/** Returns when a blob goes, unless an open job needs it until then. */
export function removeAtMs(blob: StoredBlob, rules: StorageRules): number {
  if (blob.finishedAtMs === undefined) return blob.writtenAtMs + rules.unfinishedHours * HOUR_MS;
  const isKept = blob.purpose === 'result' || blob.purpose === 'evidence' || wasNeeded(blob);
  return blob.neededAtMs + (isKept ? rules.keptDays : rules.unusedDays) * DAY_MS;
}

/** An upload without a byte for so long loses its place to another where there is no room. */
const STALLED_MS = 60_000;

/** True for an unfinished upload that may have to make room. */
export function isStalled({ finishedAtMs, writtenAtMs }: StoredBlob, nowMs: number): boolean {
  return finishedAtMs === undefined && nowMs - writtenAtMs >= STALLED_MS;
}
