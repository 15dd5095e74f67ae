/** Permissions to upload that were checked a moment ago: every piece of an upload brings the same one. */

/** For so long an account goes on that meanwhile has no money left. */
const KEPT_MS = 60_000;
const MAX_PERMITS = 1000;

/** Remembers for a minute what was permitted, so that a piece costs no question to the chain. */
export class Permits {
  /** The time of each check, the oldest first. */
  private readonly checkedAtMs = new Map<string, number>();

  constructor(private readonly nowMs: () => number) {}

  has(permit: string): boolean {
    const atMs = this.checkedAtMs.get(permit);
    return atMs !== undefined && this.nowMs() < atMs + KEPT_MS;
  }

  add(permit: string): void {
    this.checkedAtMs.delete(permit);
    this.checkedAtMs.set(permit, this.nowMs());
    const [oldest] = this.checkedAtMs.keys();
    if (oldest !== undefined && this.checkedAtMs.size > MAX_PERMITS) this.checkedAtMs.delete(oldest);
  }
}
