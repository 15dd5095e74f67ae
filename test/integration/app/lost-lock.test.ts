/** A daemon whose data directory is replaced while it runs. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { startRole } from '../../../src/runner/cli-process';
import { builtCli } from '../../support/cli';
import { openScratch } from '../../support/scratch';
import { testPython } from '../../support/tiny-job';
import { until } from '../../support/until';

test('lock of a running worker lost: it closes in order and ends with one sentence', async () => {
  builtCli();
  await using scratch = await openScratch();
  const [config, dataDir, log] = [scratch.file('worker.json'), scratch.file('data'), scratch.file('log')];
  // Nobody listens on port 1: the worker goes on dialling.
  const settings = { master_node_url: 'http://127.0.0.1:1', chainId: 31337, powerCapacity: 1, python: testPython };
  await writeFile(config, JSON.stringify(settings));
  await using worker = startRole('worker', ['worker', '--config', config, '--data-dir', dataDir], log);
  const lines = () => readFile(log, 'utf8');
  await until(async () => (await lines()).includes('Worker ready'));
  await rm(dataDir, { recursive: true });

  expect(await worker.exited).toBe(1);
  const said = (await lines()).trim().split('\n');
  expect(said.at(-1)).toBe(
    `emeth: The data directory ${dataDir} was moved or replaced while this process worked in it; put it back and start again.`,
  );
  expect(said.join('\n')).not.toMatch(/^\s+at /m);
});
