/** How much one direction of a socket carried, and how fast. */

/** Fewer bytes say nothing of the rate: the socket's own buffers take them at once. */
const MEASURED_BYTES = 8 * 1024 * 1024;
const ROUGH_BYTES = 256 * 1024;

export interface Traffic {
  /** Bytes of blobs since the socket was opened. */
  readonly bytes: number;
  /** The best rate that a transfer reached; undefined before the first of 8 MiB. */
  readonly bytesPerSecond: number | undefined;
  /** The same of transfers from 256 KiB on, of whose time much may be delay. */
  readonly roughBytesPerSecond?: number | undefined;
}

/**
 * Measures one direction. The best rate counts: a side that holds a transfer up cannot make its link look
 * slow, and so itself fast.
 */
export class TrafficMeter implements Traffic {
  bytes = 0;
  bytesPerSecond: number | undefined;
  roughBytesPerSecond: number | undefined;

  record(bytes: number, ms: number): void {
    this.bytes += bytes;
    const rate = (1000 * bytes) / Math.max(1, ms);
    if (bytes >= ROUGH_BYTES) this.roughBytesPerSecond = Math.max(this.roughBytesPerSecond ?? 0, rate);
    if (bytes >= MEASURED_BYTES) this.bytesPerSecond = Math.max(this.bytesPerSecond ?? 0, rate);
  }
}
