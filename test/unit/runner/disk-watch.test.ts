/** When a child is stopped for want of disk: never before its role itself has too little. */
import { childFloorBytes } from '../../../src/runner/disk-watch';

const MIB = 2 ** 20;

test.each([
  [undefined, 256 * MIB],
  [2 ** 40, 256 * MIB],
  [4 * MIB, MIB],
  [0, 0],
])('role that keeps %p bytes free: its children go below %p', (minFreeBytes, floorBytes) => {
  expect(childFloorBytes(minFreeBytes)).toBe(floorBytes);
});
