/** Blobs that several receivers read at the same time: each piece is read from disk once. */
import { type FileHandle, open } from 'node:fs/promises';

/** What is read at once. */
const PIECE_BYTES = 256 * 1024;
/** Pieces that are kept for receivers a little behind; one further behind reads again. */
const MAX_PIECES = 32;

/** A blob that is open, once for all its receivers. */
interface SharedFile {
  readonly opened: Promise<FileHandle>;
  receivers: number;
}

/**
 * A piece of a file. Its memory is used for one piece after the other: kept for a while, each would grow
 * old, and V8 collect everything for it.
 */
interface Piece {
  readonly memory: Buffer;
  file: SharedFile;
  at: number;
  bytes: Promise<number>;
  /** Who copies from it, or waits until it is read. */
  users: number;
}

/** Opens each file once, and keeps the pieces that were read last. */
export class SharedReads {
  private readonly files = new Map<string, SharedFile>();
  /** The one that was used longest ago in front. */
  private pieces: Piece[] = [];

  /** Opens a file for one more receiver. */
  async open(path: string) {
    const file = this.files.get(path) ?? { opened: open(path, 'r'), receivers: 0 };
    this.files.set(path, file);
    file.receivers += 1;
    let isOpen = true;
    const close = async () => {
      if (isOpen) await this.leave(path, file);
      isOpen = false;
    };
    try {
      await file.opened;
    } catch (error) {
      await close();
      throw error;
    }
    return { read: (into: Uint8Array, offset: number) => this.read(file, into, offset), close };
  }

  private async read(file: SharedFile, into: Uint8Array, offset: number): Promise<number> {
    const at = offset - (offset % PIECE_BYTES);
    const isWithin = offset + into.length <= at + PIECE_BYTES;
    const piece = file.receivers > 1 && isWithin ? this.find(file, at) : undefined;
    if (!piece) return fill(file.opened, into, offset);
    piece.users += 1;
    try {
      const end = Math.min(await piece.bytes, offset - at + into.length);
      return piece.memory.copy(into, 0, offset - at, end);
    } finally {
      piece.users -= 1;
    }
  }

  /** Returns the piece at this offset, which may still be being read; none where all are in use. */
  private find(file: SharedFile, at: number): Piece | undefined {
    const known = this.pieces.find((piece) => piece.file === file && piece.at === at);
    const piece = known ?? this.spare(file, at);
    if (!piece) return undefined;
    this.pieces = [...this.pieces.filter((one) => one !== piece), piece];
    if (!known) {
      piece.bytes = fill(file.opened, piece.memory, at);
      piece.bytes.catch(() => {
        piece.at = -1;
      });
    }
    return piece;
  }

  /** Returns memory for one more piece: new, or that of the piece that was used longest ago. */
  private spare(file: SharedFile, at: number): Piece | undefined {
    const bytes = Promise.resolve(0);
    if (this.pieces.length < MAX_PIECES)
      return { memory: Buffer.allocUnsafeSlow(PIECE_BYTES), file, at, bytes, users: 0 };
    const old = this.pieces.find(({ users }) => users === 0);
    return old && Object.assign(old, { file, at });
  }

  private async leave(path: string, file: SharedFile): Promise<void> {
    file.receivers -= 1;
    if (file.receivers > 0) return;
    this.files.delete(path);
    this.pieces = this.pieces.filter((piece) => piece.file !== file);
    const handle = await file.opened.catch(() => undefined);
    await handle?.close();
  }
}

/** Reads as much as fits, or there is; returns how many bytes that was. */
async function fill(opened: Promise<FileHandle>, into: Uint8Array, offset: number): Promise<number> {
  const file = await opened;
  let bytes = 0;
  while (bytes < into.length) {
    const { bytesRead } = await file.read(into, bytes, into.length - bytes, offset + bytes);
    if (bytesRead === 0) break;
    bytes += bytesRead;
  }
  return bytes;
}
