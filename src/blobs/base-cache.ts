/** The bases that a machine keeps for further jobs: within a limit, the one used longest ago goes first. */
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Sha256 } from '../domain/ids';
import { usedBytes } from '../lib/disk';
import { AppError } from '../lib/errors';
import { formatBytes } from '../lib/format-bytes';
import { baseDirPath, openBaseDir } from './base-dir';
import type { BlobStore } from './blob-store';

export type BaseCacheError = { code: 'base/no-room'; bytes: number; maxBytes: number; inUseBytes: number };

/** A base as it is named by whoever wants it used. */
export interface WantedBase {
  list: Sha256;
  /** Of all its files together; one that has more is refused. */
  bytes: number;
}

/** A base that stays here until it is disposed of. */
export interface HeldBase extends Disposable {
  readonly path: string;
}

/** A base that is here, perhaps not whole. */
interface KeptBase {
  list: Sha256;
  bytes: number;
  usedAtMs: number;
}

export interface BaseCacheParts {
  /** Where all base directories lie: `<dataDir>/bases`. */
  root: string;
  maxBytes: number;
  /** Returns the free space of the disk. */
  freeBytes(): Promise<number>;
  /** Where files lie while they arrive; of a base that is whole, only its list stays there. */
  blobs: Pick<BlobStore, 'path' | 'stat' | 'remove'>;
}

/** When a base was last used, the time of change of its directory says, also after a restart. */
export class BaseCache {
  /** How many users each base has now. */
  private readonly users = new Map<Sha256, number>();

  constructor(private readonly parts: BaseCacheParts) {}

  /** Returns the directory that a base has, or would have. */
  path(list: Sha256): string {
    return baseDirPath(this.parts.root, list);
  }

  async has(list: Sha256): Promise<boolean> {
    return (await stat(this.path(list)).catch(() => undefined)) !== undefined;
  }

  /** Returns the bytes of the bases that would go if there were no room for another. */
  async spareBytes(): Promise<number> {
    return sum((await this.list()).filter(({ list }) => !this.users.has(list)));
  }

  /**
   * Returns a base, which is fetched unless it is here; what arrived before a failure or a crash is not
   * fetched again. Throws `base/…` and what `fetch` throws.
   */
  async open(
    { list, bytes }: WantedBase,
    fetch: (sha256: Sha256, maxBytes: number) => Promise<unknown>,
  ): Promise<HeldBase> {
    const { root, blobs } = this.parts;
    const hold = this.hold(list);
    try {
      await this.makeRoom(list, bytes);
      const { path, files } = await openBaseDir(list, { root, blobs, fetch, maxBytes: bytes });
      for (const { sha256 } of files) await blobs.remove(sha256);
      const now = new Date();
      await utimes(path, now, now);
      return { path, [Symbol.dispose]: () => hold[Symbol.dispose]() };
    } catch (error) {
      hold[Symbol.dispose]();
      throw error;
    }
  }

  private hold(list: Sha256): Disposable {
    this.users.set(list, (this.users.get(list) ?? 0) + 1);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        const left = (this.users.get(list) ?? 1) - 1;
        if (left > 0) this.users.set(list, left);
        else this.users.delete(list);
      },
    };
  }

  /** Removes bases that nobody uses until there is room for this one. Throws `base/no-room`. */
  private async makeRoom(list: Sha256, bytes: number): Promise<void> {
    const { maxBytes, freeBytes } = this.parts;
    await this.removeUnfinished();
    const missing = (await this.has(list)) ? 0 : bytes;
    const others = (await this.list()).filter((other) => other.list !== list);
    const inUseBytes = sum(others.filter((other) => this.users.has(other.list)));
    if (inUseBytes + bytes > maxBytes) throw noRoom(list, { bytes, maxBytes, inUseBytes });
    const idle = others.filter((other) => !this.users.has(other.list)).sort((a, b) => a.usedAtMs - b.usedAtMs);
    for (let left = sum(others); left + bytes > maxBytes || (await freeBytes()) < missing; ) {
      const oldest = idle.shift();
      if (!oldest) return;
      await rm(this.path(oldest.list), { recursive: true, force: true });
      left -= oldest.bytes;
    }
  }

  /** A killed process may have left directories that it was making. */
  private async removeUnfinished(): Promise<void> {
    for (const name of await this.names()) {
      const isBusy = [...this.users.keys()].some((list) => name.startsWith(list));
      if (!Sha256.safeParse(name).success && !isBusy)
        await rm(join(this.parts.root, name), { recursive: true, force: true });
    }
  }

  private names(): Promise<string[]> {
    return readdir(this.parts.root).catch(() => []);
  }

  private async list(): Promise<KeptBase[]> {
    const lists = (await this.names()).flatMap((name) => Sha256.safeParse(name).data ?? []);
    return Promise.all(
      lists.map(async (list) => {
        const { mtimeMs: usedAtMs } = await stat(this.path(list));
        return { list, usedAtMs, bytes: await usedBytes(this.path(list)) };
      }),
    );
  }
}

function sum(bases: readonly KeptBase[]): number {
  return bases.reduce((all, { bytes }) => all + bytes, 0);
}

function noRoom(list: Sha256, { bytes, maxBytes, inUseBytes }: Omit<BaseCacheError, 'code'>): AppError<BaseCacheError> {
  const used = inUseBytes > 0 ? ` and ${formatBytes(inUseBytes)} of others are in use` : '';
  return new AppError(
    { code: 'base/no-room', bytes, maxBytes, inUseBytes },
    `The base ${list.slice(0, 12)}… has ${formatBytes(bytes)}${used}, and at most ${formatBytes(maxBytes)} of bases are kept here; raise baseCacheBytes.`,
  );
}
