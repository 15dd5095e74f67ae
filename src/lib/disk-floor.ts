/** Keeps some space of a disk free: whoever is about to write much asks here first. */
import { freeBytes } from './disk';
import { AppError } from './errors';

export type DiskFloorError = { code: 'disk/low'; freeBytes: number; minFreeBytes: number; neededBytes: number };

/** The disk is asked at most so often, as every piece of every upload asks here. */
const KEPT_MS = 500;

/** The free space of the disk of one directory, and how much of it must stay. */
export class DiskFloor {
  private measured: { atMs: number; bytes: Promise<number> } | undefined;
  /** Written since the disk was asked. */
  private writtenBytes = 0;

  constructor(
    private readonly dir: string,
    readonly minFreeBytes: number,
  ) {}

  /** Returns how many bytes may be written before the floor is reached; negative below it. */
  async roomBytes(): Promise<number> {
    const nowMs = performance.now();
    if (!this.measured || nowMs - this.measured.atMs > KEPT_MS) {
      this.measured = { atMs: nowMs, bytes: freeBytes(this.dir) };
      this.writtenBytes = 0;
    }
    return (await this.measured.bytes) - this.writtenBytes - this.minFreeBytes;
  }

  /** Throws `disk/low` when so many bytes more would not leave the floor free. */
  async require(neededBytes: number): Promise<void> {
    const room = await this.roomBytes();
    if (room >= neededBytes) {
      this.writtenBytes += neededBytes;
      return;
    }
    const free = Math.max(0, room + this.minFreeBytes);
    const { minFreeBytes } = this;
    const needs = neededBytes > 0 ? `${toMb(neededBytes)} are needed beside ` : '';
    throw new AppError<DiskFloorError>(
      { code: 'disk/low', freeBytes: free, minFreeBytes, neededBytes },
      `The disk has ${toMb(free)} free, and ${needs}minFreeBytes (${toMb(minFreeBytes)}); free some space, or move the data directory to a larger disk.`,
    );
  }

  /** Forgets what the disk last said, as something was removed. */
  forget(): void {
    this.measured = undefined;
  }
}

function toMb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
