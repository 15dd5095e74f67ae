/** Heartbeats of many sessions on one timer. */
import { Beats } from '../../../src/link/beats';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** A member that counts its beats. */
function counter() {
  const count = {
    beats: 0,
    onBeat() {
      count.beats += 1;
    },
  };
  return count;
}

test('members added at different times: each beats once in the time of a heartbeat', () => {
  const beats = new Beats(1000);
  const first = counter();
  const second = counter();
  beats.add(first);
  jest.advanceTimersByTime(400);
  beats.add(second);
  jest.advanceTimersByTime(599);
  expect([first.beats, second.beats]).toEqual([0, 0]);
  jest.advanceTimersByTime(1);
  expect([first.beats, second.beats]).toEqual([1, 0]);
  jest.advanceTimersByTime(400);
  expect([first.beats, second.beats]).toEqual([1, 1]);
  jest.advanceTimersByTime(10_000);
  expect([first.beats, second.beats]).toEqual([11, 11]);
});

test('last member gone: no timer is left, and the next one starts it again', () => {
  const beats = new Beats(1000);
  const member = counter();
  const leave = beats.add(member);
  expect(jest.getTimerCount()).toBe(1);
  leave();
  leave();
  expect(jest.getTimerCount()).toBe(0);
  beats.add(member);
  jest.advanceTimersByTime(1000);
  expect(member.beats).toBe(1);
});

test('member that leaves during a beat: the others beat', () => {
  const beats = new Beats(1000);
  const [stays, leaves] = [counter(), counter()];
  const leave = beats.add({ onBeat: () => leave() });
  beats.add(stays);
  beats.add(leaves)();
  jest.advanceTimersByTime(2000);
  expect([stays.beats, leaves.beats]).toEqual([2, 0]);
});
