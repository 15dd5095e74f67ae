/** The list of planted bugs is up to date: what each changes is there, and the test that notices it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { plantedBugs } from '../planted/bug';
import { applyChange } from '../support/source-change';

const root = join(__dirname, '..', '..');

test('each planted bug: its text occurs once in its file, its name once in the list', () => {
  for (const bug of plantedBugs) applyChange(bug, readFileSync(join(root, bug.file), 'utf8'));
  expect(new Set(plantedBugs.map(({ name }) => name)).size).toBe(plantedBugs.length);
  expect(plantedBugs.length).toBeGreaterThanOrEqual(10);
});

test('each planted bug: the file of its test is there', () => {
  expect(plantedBugs.filter(({ test }) => !existsSync(join(root, test)))).toEqual([]);
});
