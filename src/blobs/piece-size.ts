/** How many bytes of an upload one request carries. */

const FIRST_BYTES = 8 * 2 ** 20;
const LEAST_BYTES = 64 * 2 ** 10;
const MOST_BYTES = 64 * 2 ** 20;
const QUICK_MS = 1000;
const SLOW_MS = 4000;

/**
 * Large pieces where they take about a second, as each costs a round trip and a look at the storage; small
 * ones on a slow line, as a proxy may keep a piece back until it has all of it. A proxy that refuses a size
 * never gets it again.
 */
export class PieceSize {
  private now = FIRST_BYTES;
  private most = MOST_BYTES;

  get bytes(): number {
    return this.now;
  }

  /** Notes how long a whole piece took. */
  noteSent(bytes: number, ms: number): void {
    if (bytes < this.now) return;
    if (ms < QUICK_MS) this.now = Math.min(2 * this.now, this.most);
    if (ms > SLOW_MS) this.now = Math.max(this.now / 2, Math.min(FIRST_BYTES, this.most));
  }

  /** Halves the size for good; false when it is as small as it gets. */
  refuse(): boolean {
    if (this.now <= LEAST_BYTES) return false;
    this.now /= 2;
    this.most = this.now;
    return true;
  }
}
