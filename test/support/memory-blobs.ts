/** Blobs in memory, as the link uses them. */
import { AppError } from '../../src/lib/errors';
import type { IncomingBlob, LinkBlobs } from '../../src/link/ports';

/** A part is kept when its writer closes it. */
export class MemoryBlobs implements LinkBlobs {
  readonly whole = new Map<string, Buffer>();
  private readonly parts = new Map<string, Buffer>();
  /** Parts that are open; a second opener would spoil one. */
  private readonly writing = new Set<string>();
  private readers = 0;

  /** `contents` are those that names stand for. */
  constructor(private readonly contents: ReadonlyMap<string, Buffer>) {}

  /** How many files are open, to read or to write. */
  get open(): number {
    return this.readers + this.writing.size;
  }

  stat = async (name: string) => {
    const bytes = this.whole.get(name)?.length;
    return bytes === undefined ? undefined : { bytes };
  };

  openReader = async (name: string) => {
    this.readers += 1;
    return {
      read: async (into: Uint8Array, offset: number) => this.whole.get(name)?.copy(into, 0, offset) ?? 0,
      close: async () => {
        this.readers -= 1;
      },
    };
  };

  openPart = async (name: string): Promise<IncomingBlob> => {
    const { parts, writing, whole, contents } = this;
    if (writing.has(name)) throw new Error(`${name} has two writers`);
    writing.add(name);
    return {
      get offset() {
        return parts.get(name)?.length ?? 0;
      },
      append: async (chunks) => void parts.set(name, Buffer.concat([parts.get(name) ?? Buffer.alloc(0), ...chunks])),
      finish: async () => {
        const bytes = parts.get(name) ?? Buffer.alloc(0);
        parts.delete(name);
        if (!contents.get(name)?.equals(bytes))
          throw new AppError({ code: 'blobs/hash-mismatch' }, 'It has another hash.');
        whole.set(name, bytes);
      },
      discard: async () => void parts.delete(name),
      close: async () => void writing.delete(name),
    };
  };
}
