/**
 * What was checked a moment ago: every piece of an upload, and every blob of a job, brings the same
 * signature.
 */
import type { Address } from '../domain/ids';
import { BoundedMap } from '../lib/bounded-map';

/** For so long an account goes on that is no verifier any more. */
const KEPT_MS = 60_000;
const MAX_PERMITS = 1000;

/** Remembers for a minute who signed for what, so that a piece or a blob costs no check of a signature. */
export class Permits {
  /** Each with the time of its check. */
  private readonly known = new BoundedMap<string, { owner: Address; atMs: number }>(MAX_PERMITS);

  constructor(private readonly nowMs: () => number) {}

  /** Returns the account that signed. */
  find(permit: string): Address | undefined {
    const found = this.known.get(permit);
    return found && this.nowMs() < found.atMs + KEPT_MS ? found.owner : undefined;
  }

  add(permit: string, owner: Address): void {
    if (this.find(permit)) return;
    this.known.set(permit, { owner, atMs: this.nowMs() });
  }
}
