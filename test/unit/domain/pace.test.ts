/** When a job is known to be too late: tables of folds. */
import { isLate, isPromising, type Milestone } from '../../../src/domain/pace';

const goal = { totalBlocks: 1000, deadlineMs: 600_000, finishMs: 45_000 };
/** Folds of so many blocks each, so many seconds apart. */
const folds = (...rounds: (readonly [seconds: number, blocks: number])[]): Milestone[] => {
  const milestones: Milestone[] = [{ atMs: 0, mergedBlocks: 0 }];
  for (const [seconds, blocks] of rounds) {
    const last = milestones.at(-1)!;
    milestones.push({ atMs: last.atMs + 1000 * seconds, mergedBlocks: last.mergedBlocks + blocks });
  }
  return milestones;
};

test.each<[string, Milestone[], boolean]>([
  ['no round', folds(), false],
  ['one slow round', folds([60, 10]), false],
  ['two slow rounds', folds([60, 10], [60, 10]), true],
  ['two rounds in time', folds([50, 100], [50, 100]), false],
  ['a slow one after one in time', folds([50, 100], [150, 50]), false],
  ['two slow ones after one in time', folds([50, 100], [150, 50], [150, 50]), true],
  ['slow, but faster from round to round', folds([60, 1], [60, 8], [60, 40]), false],
  ['late by less than measuring may be wrong', folds([58, 100], [58, 100]), false],
  ['nothing merged twice', folds([10, 500], [60, 0], [60, 0]), true],
])('%s: late is %p', (_situation, milestones, expected) => {
  expect(isLate(milestones, goal)).toBe(expected);
});

test.each<[string, Milestone[], number, boolean]>([
  ['has just begun', folds(), 30, true],
  ['has no round after minutes', folds(), 300, false],
  ['is in time', folds([50, 100], [50, 800]), 120, true],
  ['needs more than is left', folds([250, 400]), 510, false],
  ['is done but for the end', folds([250, 500], [250, 500]), 510, true],
  ['hears nothing of an overdue round', folds([10, 900]), 100, false],
])('job that %s, with so many seconds gone: promising is %p', (_situation, milestones, seconds, expected) => {
  expect(isPromising(milestones, goal, 1000 * seconds)).toBe(expected);
});
