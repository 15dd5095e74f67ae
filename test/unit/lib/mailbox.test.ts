/** Tests of the mailbox: order, waking, time-outs and abort. */
import type { Clock } from '../../../src/lib/clock';
import { Mailbox } from '../../../src/lib/mailbox';

const never = new AbortController().signal;

test('several pushes: items come out in the same order', async () => {
  const box = new Mailbox<number>();
  box.push(1);
  box.push(2);
  expect([await box.next(1000, never), await box.next(1000, never)]).toEqual([1, 2]);
});

test('push while waiting: the reader gets the item', async () => {
  const box = new Mailbox<string>();
  const item = box.next(60_000, never);
  box.push('hello');
  expect(await item).toBe('hello');
});

test('nothing in time: undefined', async () => {
  expect(await new Mailbox().next(5, never)).toBeUndefined();
});

test('push while waiting: the wait ends and leaves no sleeper on the clock', async () => {
  let sleepers = 0;
  const clock: Clock = {
    now: () => 0,
    sleep: (_ms, signal) =>
      new Promise((_resolve, reject) => {
        sleepers += 1;
        signal?.addEventListener('abort', () => {
          sleepers -= 1;
          reject(signal.reason);
        });
      }),
  };
  const box = new Mailbox<string>(clock);
  const item = box.next(60_000, never);
  expect(sleepers).toBe(1);
  box.push('hello');
  expect(await item).toBe('hello');
  expect(sleepers).toBe(0);
});

test('signal aborts: throws its reason', async () => {
  const aborter = new AbortController();
  const item = new Mailbox().next(60_000, aborter.signal);
  aborter.abort(new Error('stop'));
  await expect(item).rejects.toThrow('stop');
});
