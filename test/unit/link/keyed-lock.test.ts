/** Order and failure of work that holds a lock per key. */
import { KeyedLock } from '../../../src/link/keyed-lock';

const always = new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('default: one at a time per key, in order, and other keys do not wait', async () => {
  const lock = new KeyedLock();
  const log: string[] = [];
  const work = (key: string, name: string) =>
    lock.run(key, always, async () => {
      log.push(`${name} in`);
      await turn();
      log.push(`${name} out`);
    });
  await Promise.all([work('x', 'a'), work('x', 'b'), work('y', 'c')]);
  expect(log.filter((line) => !line.startsWith('c'))).toEqual(['a in', 'a out', 'b in', 'b out']);
  expect(log.indexOf('c in')).toBe(1);
});

test('work fails: the next runs', async () => {
  const lock = new KeyedLock();
  const failed = lock.run('x', always, () => Promise.reject(new Error('no')));
  const next = lock.run('x', always, async () => 'yes');
  await expect(failed).rejects.toThrow('no');
  expect(await next).toBe('yes');
});

test('waiter gives up: the next still waits for the first', async () => {
  const lock = new KeyedLock();
  const log: string[] = [];
  const stop = new AbortController();
  const first = lock.run('x', always, async () => {
    await turn();
    await turn();
    log.push('first');
  });
  const second = lock.run('x', stop.signal, async () => void log.push('second'));
  const third = lock.run('x', always, async () => void log.push('third'));
  stop.abort(new Error('enough'));
  await expect(second).rejects.toThrow('enough');
  await Promise.all([first, third]);
  expect(log).toEqual(['first', 'third']);
});
