/** The hub of the tests speaks as hubs do: Hugging Face's own library fetches from it what ours fetches. */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Hub } from '../../../src/blobs/hub';
import { pythonPath } from '../../../src/runner/python';
import { openHubServer } from '../../support/hub-server';
import { openScratch } from '../../support/scratch';
import { tinyBase } from '../../support/tiny-base';

const run = promisify(execFile);
const repo = 'tiny/base';

test('snapshot by huggingface_hub: the same files at the same commit', async () => {
  await using scratch = await openScratch();
  await using server = await openHubServer({ pageSize: 3 });
  const commit = server.commit(repo, tinyBase());
  const code = 'import sys, huggingface_hub as h; print(h.snapshot_download(sys.argv[1]))';
  const env = { PATH: process.env.PATH, HF_ENDPOINT: server.url, HF_HOME: scratch.path, HF_HUB_DISABLE_XET: '1' };
  const { stdout } = await run(pythonPath(), ['-c', code, repo], { env });
  const dir = stdout.trim();
  expect(dir.endsWith(join('snapshots', commit))).toBe(true);
  const found = await new Hub({ endpoint: server.url }).resolve({ repo });
  expect(found.commit).toBe(commit);
  expect((await readdir(dir)).sort()).toEqual(found.files.map(({ name }) => name).sort());
  for (const [name, content] of Object.entries(tinyBase())) expect(await readFile(join(dir, name))).toEqual(content);
});
