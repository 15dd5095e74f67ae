/** Whether a daemon can do its work right now: what `/readyz`, `emeth rpc status` and `emeth doctor` tell. */

import { setTimeout as delay } from 'node:timers/promises';
import type { JobId } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { DISK_BYTES, freeBytes } from '../lib/disk';
import { errorCode } from '../lib/errors';
import { formatBytes } from '../lib/format-bytes';
import type { ReadyCheck } from '../protocol/readiness';
import type { Store } from '../store/open';

interface ReadinessDeps {
  dataDir: string;
  store: { readonly cursors: Pick<Store['cursors'], 'touch'> };
  clock: Clock;
  pollMs: number;
  /** Bytes of the disk that must be free; without it, what no daemon works with less than. */
  minFreeBytes?: number | undefined;
  /** Lists the jobs in progress that nothing works on; without it there is no such check. */
  strayJobs?: (() => Promise<readonly JobId[]>) | undefined;
  /** Throws unless the bucket of the blobs answers; without it there is no such check. */
  checkBucket?: (() => Promise<void>) | undefined;
}

type Finding = Omit<ReadyCheck, 'name'>;

/** One answer serves all who ask within this time: the checks write, and anybody may ask. */
const KEPT_MS = 1000;
const ANSWER_MS = 5000;
/** A chain unread for this long, or for as many polls, is not followed. */
const STALE = { ms: 60_000, polls: 10 };

/** The checks of one daemon. Their words name no path, host or account, as anybody may read them. */
export class Readiness {
  private chainReadAtMs: number | undefined;
  private latest: { atMs: number; checks: Promise<ReadyCheck[]> } | undefined;

  constructor(private readonly deps: ReadinessDeps) {}

  /** To be called whenever the chain was read. */
  noteChainRead(): void {
    this.chainReadAtMs = this.deps.clock.now();
  }

  check(): Promise<ReadyCheck[]> {
    const nowMs = this.deps.clock.now();
    if (this.latest && Math.abs(nowMs - this.latest.atMs) < KEPT_MS) return this.latest.checks;
    const { strayJobs, checkBucket } = this.deps;
    const checks = Promise.all([
      find('store', () => this.checkStore()),
      find('chain', async () => this.checkChain(nowMs)),
      find('disk', () => this.checkDisk()),
      ...(strayJobs ? [find('jobs', async () => describeStray(await strayJobs()))] : []),
      ...(checkBucket ? [find('bucket', () => askBucket(checkBucket))] : []),
    ]);
    this.latest = { atMs: nowMs, checks };
    return checks;
  }

  private async checkStore(): Promise<Finding> {
    await this.deps.store.cursors.touch();
    return { ok: true, detail: 'can be written' };
  }

  private checkChain(nowMs: number): Finding {
    if (this.chainReadAtMs === undefined) return { ok: false, detail: 'has not been read yet' };
    const agoMs = nowMs - this.chainReadAtMs;
    const ok = agoMs <= Math.max(STALE.ms, STALE.polls * this.deps.pollMs);
    return { ok, detail: `was read ${Math.round(agoMs / 1000)} s ago` };
  }

  private async checkDisk(): Promise<Finding> {
    const bytes = await freeBytes(this.deps.dataDir);
    const { minFreeBytes = DISK_BYTES.least } = this.deps;
    const ok = bytes >= minFreeBytes;
    return { ok, detail: `${formatBytes(bytes)} free${ok ? '' : `, ${formatBytes(minFreeBytes)} needed`}` };
  }
}

function describeStray(jobs: readonly JobId[]): Finding {
  if (jobs.length === 0) return { ok: true, detail: 'each one in progress is worked on' };
  return { ok: false, detail: `in progress, and nothing works on it: ${jobs.join(', ')}` };
}

async function askBucket(check: () => Promise<void>): Promise<Finding> {
  await check();
  return { ok: true, detail: 'can be listed' };
}

async function find(name: ReadyCheck['name'], ask: () => Promise<Finding>): Promise<ReadyCheck> {
  const late = new AbortController();
  const tooLate = delay(ANSWER_MS, { ok: false, detail: `no answer in ${ANSWER_MS / 1000} s` }, late);
  const found = ask().catch((error) => ({ ok: false, detail: `failed (${errorCode(error)})` }));
  try {
    return { name, ...(await Promise.race([found, tooLate])) };
  } finally {
    late.abort();
    await tooLate.catch(() => undefined);
  }
}
