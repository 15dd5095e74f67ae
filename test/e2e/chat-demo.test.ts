/** The demo's chat job as processes: its base made and put, an adapter trained on it, questions answered. */
import { openAdminClient } from '../../src/admin/client';
import { runDemo } from '../../src/demo/demo';
import { type DemoSummary, findShortfalls } from '../../src/demo/summary';
import { builtCli } from '../support/cli';
import { openScratch } from '../support/scratch';

test('demo of a chat job: verified, every part paid, questions answered', async () => {
  builtCli();
  await using scratch = await openScratch();
  const said: string[] = [];
  let seen: DemoSummary | undefined;
  const places = { dir: scratch.file('run'), modelDir: scratch.file('model'), cacheDir: scratch.file('cache') };
  await runDemo(
    { ...places, job: 'chat', workers: 2, rounds: 1, baseSteps: 8 },
    {
      report: (line) => said.push(line),
      view: { show: () => undefined, end: () => undefined },
      openAdmin: openAdminClient,
      signal: new AbortController().signal,
      async onDone(summary) {
        seen = summary;
      },
    },
  );
  expect(seen && findShortfalls(seen)).toEqual([]);
  expect(seen?.sample).toMatch(/^> What is a lease\?\n/);
  expect(said).toContainEqual(expect.stringMatching(/^Making the base/));
  expect(said).toContainEqual(expect.stringMatching(/"tune":"lora","base":"sha256:/));
});
