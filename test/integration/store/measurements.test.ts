/** Measurements of workers, on both databases. */
import { Address } from '../../../src/domain/ids';
import { describeEachDatabase, runSql } from '../../support/each-database';

jest.setTimeout(120_000);

const address = (n: number) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);

describeEachDatabase('measurements', (database) => {
  test('many of one worker: the last good ones and the last probe, old ones forgotten', async () => {
    const store = await database.open();
    const one = { worker: address(1), source: 'round', shape: '4x128', isOk: true } as const;
    const bad = { ...one, source: 'probe', shape: 'S', isOk: false, atMs: 2 ** 41, gflops: 0, detail: 'é' } as const;
    await store.measurements.add(bad);
    for (let n = 1; n <= 40; n++) await store.measurements.add({ ...one, atMs: n, gflops: n + 0.5 });
    await store.measurements.add({ ...one, worker: address(2), atMs: 1, gflops: 7 });
    const last = Array.from({ length: 8 }, (_, i) => ({ ...one, atMs: 33 + i, gflops: 33.5 + i }));
    expect(await store.measurements.recent(address(1))).toEqual([bad, ...last]);
    expect(await store.measurements.recent(address(2))).toHaveLength(1);
    expect(await store.measurements.recent(address(3))).toEqual([]);
    const rows = await runSql(database.options, 'select count(*) as n from measurements');
    expect(rows).toEqual([{ n: 34 }]);
  });
});
