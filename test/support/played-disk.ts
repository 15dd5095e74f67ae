/** A disk whose room a test sets; without a word of it there is room for everything. */
import { AppError } from '../../src/lib/errors';

export class PlayedDisk {
  room = Number.POSITIVE_INFINITY;

  roomBytes = async (): Promise<number> => this.room;

  require = async (bytes: number): Promise<void> => {
    if (this.room < bytes) throw new AppError({ code: 'disk/low' }, 'The disk is too full.');
  };
}
