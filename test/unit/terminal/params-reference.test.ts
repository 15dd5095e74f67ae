/** The page of a job's parameters is up to date, and each command on it can be used. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { composeParams } from '../../../src/commands/jobs/request-params';
import type { PresetName } from '../../../src/domain/presets';
import { JobParams } from '../../../src/protocol/job-params';
import { listParams } from '../../../src/protocol/params-list';
import { renderParams } from '../../../src/terminal/params-reference';

const page = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'params.md'), 'utf8');

test('docs/params.md: equals what npm run docs writes', () => {
  expect(page).toBe(renderParams());
});

test('every parameter: explained', () => {
  expect(listParams().filter(({ isGroup, description }) => !isGroup && description === '')).toEqual([]);
  expect(listParams().length).toBeGreaterThan(40);
});

test('job without parameters: only a base has no default', () => {
  expect([...page.matchAll(/^\| `(\S+)` .*\*\*required\*\*/gm)].map(([, path]) => path)).toEqual(['base']);
  expect(page).toContain('from scratch: `"byte"`, full: `"base"`, lora: `"base"`');
});

test('commands of the page: their presets and bases make a job', () => {
  const commands = [...page.matchAll(/`emeth request --preset (\S+)(?: --base (\S+))? --dataset [^`]+`/g)];
  expect(commands).toHaveLength(3);
  for (const [, preset, base] of commands) {
    expect(JobParams.safeParse(composeParams({}, { preset: preset as PresetName, base })).success).toBe(true);
  }
});
