/** What real bases are: those of every architecture, as transformers counts them and as their heads tell. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { flawError } from '../../../src/blobs/base-errors';
import { readBaseFacts } from '../../../src/blobs/base-facts';
import { readerOfFiles } from '../../../src/blobs/base-reader';
import { architectures } from '../../../src/domain/architectures';
import { pythonPath } from '../../../src/runner/python';
import { readBaseDirectory } from '../../../src/terminal/base-directory';
import { openScratch } from '../../support/scratch';

const run = promisify(execFile);

/** Makes a base of every kind that Python's tests know; tells what transformers says of each. */
const CODE = `
import json, sys
from pathlib import Path
from tests.bases import KINDS, make_base
from transformers import AutoModelForCausalLM
seen = {}
for kind in KINDS:
    shards = {} if kind == "gpt2-old" else {"max_shard_size": "40KB"}
    directory = make_base(kind, Path(sys.argv[1]) / kind, "bfloat16", **shards)
    model = AutoModelForCausalLM.from_pretrained(directory)
    seen[kind] = {"architecture": type(model).__name__, "parameters": model.num_parameters()}
print(json.dumps(seen))
`;

test('every architecture: as many numbers as transformers counts, one list of kinds', async () => {
  await using scratch = await openScratch();
  const cwd = join(__dirname, '..', '..', '..', 'python');
  const { stdout } = await run(pythonPath(), ['-c', CODE, scratch.path], {
    cwd,
    env: { ...process.env, PYTHONPATH: cwd },
  });
  const seen = JSON.parse(stdout) as Record<string, { architecture: string; parameters: number }>;
  for (const [kind, expected] of Object.entries(seen)) {
    const dir = scratch.file(kind);
    const { files, flaw } = await readBaseDirectory(dir);
    if (flaw) throw flawError(flaw, dir);
    const facts = await readBaseFacts(readerOfFiles(dir, files));
    expect([kind, facts]).toMatchObject([kind, { ...expected, layers: 2, width: 32, vocabSize: 260, context: 64 }]);
  }
  const kinds = Object.values(seen).map(({ architecture }) => architecture);
  expect(new Set(kinds)).toEqual(new Set(Object.keys(architectures)));
});
