/** Uploads onto a disk that fills up, with a real store on it: refused in time, and resumed later. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { BlobStore } from '../../../src/blobs/blob-store';
import { RemoteBlobs } from '../../../src/blobs/remote-blobs';
import { DiskFloor } from '../../../src/lib/disk-floor';
import { openScratch } from '../../support/scratch';
import { mountSmallDisk, noSmallDisk } from '../../support/small-disk';
import { openTestStorage } from '../../support/storage';

const MIB = 2 ** 20;
const FLOOR_BYTES = 8 * MIB;
/** The index may write below the floor: that is what it is for. */
const INDEX_BYTES = 256 * 1024;
const onSmallDisk = noSmallDisk() ? test.skip : test;

onSmallDisk('disk of 32 MiB: its floor stays free whatever is uploaded, and uploads resume', async () => {
  await using scratch = await openScratch();
  using disk = mountSmallDisk(scratch.file('disk'), 32);
  const floor = new DiskFloor(disk.path, FLOOR_BYTES);
  await using storage = await openTestStorage(undefined, { dir: disk.path, floor, maxUploadBytes: 64 * MIB });
  const here = new BlobStore(join(scratch.path, 'here'));
  const remote = new RemoteBlobs(storage.url);
  const upload = async (bytes: number) => {
    const { sha256 } = await here.addBytes(randomBytes(bytes));
    const send = (onProgress?: (done: number) => void) =>
      remote.upload(sha256, here, storage.wallet.address, storage.sign, onProgress ? { onProgress } : {});
    return { sha256, send };
  };

  const large = await upload(40 * MIB);
  await expect(large.send()).rejects.toThrow(
    /answered 507: The upload has 41\.9 MB, and this storage has room for 2\d\.\d MB/,
  );
  expect(await storage.blobs.partBytes(large.sha256)).toBe(0);

  // Somebody else fills the disk while an upload that was admitted is under way.
  const small = await upload(12 * MIB);
  let isFull = false;
  const fill = (done: number) => {
    if (isFull || done < 4 * MIB) return;
    isFull = true;
    disk.fill(FLOOR_BYTES + MIB);
    floor.forget();
  };
  await expect(small.send(fill)).rejects.toThrow(/answered 507: The disk of this storage has no room for more/);
  expect(await storage.blobs.partBytes(small.sha256)).toBeGreaterThan(0);
  expect(disk.freeBytes()).toBeGreaterThan(FLOOR_BYTES - INDEX_BYTES);
  disk.empty();
  floor.forget();
  await small.send();
  expect(await storage.blobs.stat(small.sha256)).toEqual({ bytes: 12 * MIB });
  expect(disk.freeBytes()).toBeGreaterThan(FLOOR_BYTES - INDEX_BYTES);
});
