/** Trouble that is waited out: how long the pauses are, and how often it is told. */
import { AppError } from '../../../src/lib/errors';
import { Trouble } from '../../../src/lib/trouble';

const errorOf = (code: string) => new AppError({ code }, `It is ${code}.`);

test('failures in a row: pauses grow, and stay below ten seconds for ever', () => {
  const trouble = new Trouble('a node');
  const pauses = Array.from({ length: 100 }, (_, i) => {
    trouble.note(errorOf('chain/unreachable'), i);
    return trouble.pauseMs();
  });
  expect(pauses[0]).toBeLessThanOrEqual(1000);
  expect(pauses.slice(0, 4)).toEqual([...pauses.slice(0, 4)].sort((a, b) => a - b));
  expect(Math.max(...pauses)).toBeLessThanOrEqual(10_000);
  expect(Math.min(...pauses.slice(4))).toBeGreaterThanOrEqual(7500);
});

test('two who wait for one thing: come back at different times', () => {
  const pauses = ['a', 'b', 'c', 'd'].map((name) => {
    const trouble = new Trouble(name);
    trouble.note(errorOf('chain/unreachable'), 0);
    return trouble.pauseMs();
  });
  expect(new Set(pauses).size).toBe(4);
});

test('the same failure again: told once, and again when it is another', () => {
  const trouble = new Trouble('a node');
  const told = ['x/a', 'x/a', 'x/b', 'x/b', 'x/a'].map((code) => trouble.note(errorOf(code), 0));
  expect(told).toEqual([true, false, true, false, true]);
  expect([trouble.reason, trouble.attempts]).toEqual(['It is x/a.', 5]);
});

test('trouble ends: its end is told once, and the next begins anew', () => {
  const trouble = new Trouble('a node');
  expect(trouble.end()).toBe(false);
  trouble.note(errorOf('x/a'), 1000);
  expect(trouble.lastedMs(4000)).toBe(3000);
  expect([trouble.end(), trouble.end(), trouble.reason, trouble.lastedMs(4000)]).toEqual([true, false, undefined, 0]);
  expect(trouble.note(errorOf('x/a'), 5000)).toBe(true);
});
