/** The page of a job's parameters is up to date, and each command on it can be used. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { composeParams } from '../../../src/commands/jobs/request-params';
import type { PresetName } from '../../../src/domain/presets';
import { JobParams } from '../../../src/protocol/job-params';
import { listParams } from '../../../src/protocol/params-list';
import { renderParams } from '../../../src/terminal/params-reference';

const root = join(__dirname, '..', '..', '..');
const page = readFileSync(join(root, 'docs', 'params.md'), 'utf8');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

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

test.each(Object.entries({ page, readme }))('commands of the %s: their presets and bases make a job', (_of, text) => {
  const commands = [...text.matchAll(/emeth request --preset (\S+)(?: --base (\S+))? --dataset \S+ --fee \d+emt/g)];
  expect(commands).toHaveLength(3);
  for (const [, preset, base] of commands) {
    expect(JobParams.safeParse(composeParams({}, { preset: preset as PresetName, base })).success).toBe(true);
  }
});
