import { Credit } from '../../../src/link/credit';

const always = new AbortController().signal;

/** Takers that note when they got what they wanted. */
function takers(credit: Credit) {
  const served: string[] = [];
  const take = (name: string, amount: number, signal = always) =>
    credit.take(amount, signal).then(
      () => void served.push(name),
      () => void served.push(`${name} gave up`),
    );
  return { served, take, settle: () => new Promise((resolve) => setImmediate(resolve)) };
}

test('default: what is there is taken at once, what is not is waited for', async () => {
  const credit = new Credit(10);
  const { served, take, settle } = takers(credit);
  void take('a', 6);
  void take('b', 6);
  await settle();
  expect(served).toEqual(['a']);
  credit.give(2);
  await settle();
  expect(served).toEqual(['a', 'b']);
});

test('when somebody wants much, those behind wait too', async () => {
  const credit = new Credit(5);
  const { served, take, settle } = takers(credit);
  void take('big', 9);
  void take('small', 1);
  await settle();
  expect(served).toEqual([]);
  credit.give(5);
  await settle();
  expect(served).toEqual(['big', 'small']);
});

test('when a waiter gives up, it took nothing and those behind go on', async () => {
  const credit = new Credit(5);
  const { served, take, settle } = takers(credit);
  const stop = new AbortController();
  void take('big', 9, stop.signal);
  void take('small', 5);
  stop.abort();
  await settle();
  expect(served.sort()).toEqual(['big gave up', 'small']);
});
