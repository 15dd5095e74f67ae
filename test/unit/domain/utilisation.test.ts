/** How much of its time a worker has trained. */
import { afterLease, utilisationOf, type WorkTime } from '../../../src/domain/utilisation';

const joined: WorkTime = { joinedAtMs: 1000, trainedMs: 0 };
const busy: WorkTime = { ...joined, busySinceMs: 2000 };

test('just joined, and at its first lease: nothing, then all since the grant', () => {
  expect(utilisationOf(joined, 1000)).toBe(0);
  expect(utilisationOf(busy, 3000)).toBe(0.5);
});

test('lease done: the seconds it says, at most those since the grant', () => {
  expect(utilisationOf(afterLease(busy, 10_000, 7), 11_000)).toBe(0.7);
  expect(utilisationOf(afterLease(busy, 10_000, 700), 11_000)).toBe(0.8);
});

test('lease lost, or committed twice: counts for nothing more', () => {
  expect(utilisationOf(afterLease(busy, 10_000, undefined), 11_000)).toBe(0);
  const once = afterLease(busy, 10_000, 7);
  expect(afterLease(once, 12_000, 7)).toEqual(once);
});
