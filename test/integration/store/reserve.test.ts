/** A full disk and the queue's database: the reserve beside it lets it write. On a real small file system. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Address, JobId } from '../../../src/domain/ids';
import { DiskFloor } from '../../../src/lib/disk-floor';
import { silentLogger } from '../../../src/lib/logger';
import { openStore, type Store } from '../../../src/store/open';
import { fillReserve, keepReserve, reservePath } from '../../../src/store/reserve';
import { requestJob } from '../../support/request-job';
import { openScratch } from '../../support/scratch';
import { mountSmallDisk, noSmallDisk, type SmallDisk } from '../../support/small-disk';
import { openStillClock } from '../../support/still-clock';

const MIB = 2 ** 20;
const onSmallDisk = noSmallDisk() ? describe.skip : describe;

onSmallDisk(`full disk (skipped where ${noSmallDisk() ?? 'nothing is mounted'})`, () => {
  let scratch: Awaited<ReturnType<typeof openScratch>>;
  let disk: SmallDisk;
  let store: Store;
  let path: string;
  beforeEach(async () => {
    scratch = await openScratch();
    disk = mountSmallDisk(scratch.file('disk'), 48);
    path = join(disk.path, 'queue.sqlite');
    store = await openStore({ kind: 'sqlite', path });
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]();
    disk[Symbol.dispose]();
    await scratch[Symbol.asyncDispose]();
  });

  const reserveBytes = async () => (await stat(reservePath(path)).catch(() => undefined))?.size;
  /** Some kB each, so that the pages at hand do not do. */
  const write = (n: number) =>
    requestJob(store, {
      id: JobId.parse(`0x${n.toString(16).padStart(32, '0')}`),
      requester: Address.parse(`0x${'01'.repeat(20)}`),
      ...{ dataset: 'x', params: 'x'.repeat(9000), feeWei: 1n, fuelLimit: 1n, deadlineMs: 1, requestedBlock: 1 },
    });
  const floor = () => new DiskFloor(disk.path, 4 * MIB);

  test('without a reserve: the queue cannot write', async () => {
    disk.fill();
    await expect(
      (async () => {
        for (let n = 0; n < 50; n++) await write(n);
      })(),
    ).rejects.toMatchObject({ code: 'store/disk-full' });
  });

  test('with it: hundreds of writes go on, in and out of transactions', async () => {
    expect(await fillReserve(path, floor())).toBe(true);
    expect(await reserveBytes()).toBe(16 * MIB);
    disk.fill();
    for (let n = 0; n < 300; n++) {
      await write(n);
      await store.cursors.touch();
    }
    expect(await store.jobs.list({ limit: 1000 })).toHaveLength(300);
    const left = await reserveBytes();
    expect(left).toBeLessThan(16 * MIB);
    expect(left).toBeGreaterThan(0);
    // Made whole again once there is room, and not before.
    disk.fill();
    const stop = new AbortController();
    const seen: (number | undefined)[] = [];
    const { clock } = openStillClock(async () => {
      seen.push(await reserveBytes());
      if (seen.length === 1) disk.empty();
      else stop.abort();
    });
    const deps = { floor: { roomBytes: () => floor().roomBytes() }, clock, logger: silentLogger };
    await keepReserve(path, deps, stop.signal);
    expect(seen).toEqual([left, 16 * MIB]);
  });

  test('disk with less room than floor and reserve: no reserve is made', async () => {
    disk.fill(10 * MIB);
    expect(await fillReserve(path, floor())).toBe(false);
    expect(await reserveBytes()).toBeUndefined();
  });
});
