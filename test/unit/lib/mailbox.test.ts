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

test('throws the reason when the signal aborts', async () => {
  const aborter = new AbortController();
  const item = new Mailbox().next(60_000, aborter.signal);
  aborter.abort(new Error('stop'));
  await expect(item).rejects.toThrow('stop');
});
