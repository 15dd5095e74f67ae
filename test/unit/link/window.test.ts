/** Order and limits of takers of a window. */
import { Window } from '../../../src/link/window';

const MIB = 2 ** 20;
const always = new AbortController().signal;

/** Takers that log when they are served. */
function takers(window: Window) {
  const served: string[] = [];
  const take = (name: string, amount: number, signal = always) =>
    window.take(amount, signal).then(
      () => void served.push(name),
      () => void served.push(`${name} gave up`),
    );
  return { served, take, settle: () => new Promise((resolve) => setImmediate(resolve)) };
}

test('default: available bytes are taken at once, others are waited for', async () => {
  const window = new Window(10);
  const { served, take, settle } = takers(window);
  void take('a', 6);
  void take('b', 6);
  await settle();
  expect(served).toEqual(['a']);
  window.give(2);
  await settle();
  expect(served).toEqual(['a', 'b']);
});

test('large request waits: later requests wait behind it', async () => {
  const window = new Window(5);
  const { served, take, settle } = takers(window);
  void take('big', 9);
  void take('small', 1);
  await settle();
  expect(served).toEqual([]);
  window.give(5);
  await settle();
  expect(served).toEqual(['big', 'small']);
});

test('waiter gives up: it takes nothing and later waiters are served', async () => {
  const window = new Window(5);
  const { served, take, settle } = takers(window);
  const stop = new AbortController();
  void take('big', 9, stop.signal);
  void take('small', 5);
  stop.abort();
  await settle();
  expect(served.sort()).toEqual(['big gave up', 'small']);
});

test('transfers that come one after the other: less for each, and all but a few go on', async () => {
  const pool = new Window(64 * MIB);
  const shares = await Promise.all(Array.from({ length: 56 }, () => pool.takeShare(4 * MIB, always)));
  expect(shares[0]).toBe(4 * MIB);
  expect(shares).toEqual(shares.toSorted((a, b) => b - a));
  expect(Math.min(...shares)).toBe(MIB / 4);
  expect(shares.reduce((sum, share) => sum + share, 0)).toBeLessThanOrEqual(64 * MIB);
});

test('pool used up: a transfer waits until another gives back', async () => {
  const pool = new Window(MIB / 2);
  await pool.takeShare(4 * MIB, always);
  await pool.takeShare(4 * MIB, always);
  const waiting = pool.takeShare(4 * MIB, always);
  expect(await Promise.race([waiting, Promise.resolve('waits')])).toBe('waits');
  pool.give(MIB / 4);
  expect(await waiting).toBe(MIB / 4);
});

test('blob smaller than a share: it takes no more than it has', async () => {
  expect(await new Window(MIB).takeShare(1000, always)).toBe(1000);
});
