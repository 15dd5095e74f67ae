/** How fast a link counts as, by what went over it. */
import { TrafficMeter } from '../../../src/link/traffic';

test('small, middling and large transfers: each tells as much as it can', () => {
  const meter = new TrafficMeter();
  meter.record(1000, 1);
  expect(meter).toMatchObject({ bytes: 1000, bytesPerSecond: undefined, roughBytesPerSecond: undefined });
  meter.record(300_000, 100);
  meter.record(300_000, 200);
  expect(meter).toMatchObject({ bytesPerSecond: undefined, roughBytesPerSecond: 3_000_000 });
  meter.record(2 ** 23, 1000);
  expect(meter).toMatchObject({ bytesPerSecond: 2 ** 23, roughBytesPerSecond: 2 ** 23 });
});
