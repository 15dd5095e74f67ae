import type { Clock } from '../../../src/lib/clock';
import { Mailbox } from '../../../src/lib/mailbox';

const never = new AbortController().signal;

test('items come out in the order they were pushed', async () => {
  const box = new Mailbox<number>();
  box.push(1);
  box.push(2);
  expect([await box.next(1000, never), await box.next(1000, never)]).toEqual([1, 2]);
});

test('a waiting reader is woken by a push', async () => {
  const box = new Mailbox<string>();
  const item = box.next(60_000, never);
  box.push('hello');
  expect(await item).toBe('hello');
});

test('undefined when nothing came in time', async () => {
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

test('throws the reason when the signal aborts', async () => {
  const aborter = new AbortController();
  const item = new Mailbox().next(60_000, aborter.signal);
  aborter.abort(new Error('stop'));
  await expect(item).rejects.toThrow('stop');
});
