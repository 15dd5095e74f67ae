/** Data sets counted by the real Python child, without PyTorch. */
import { mkdir, writeFile } from 'node:fs/promises';
import { JobParams } from '../../../src/protocol/job-params';
import { countDataset } from '../../../src/runner/count-dataset';
import { openScratch } from '../../support/scratch';
import { realPython } from '../../support/tiny-job';

const params = { ...JobParams.parse({ model: { context: 16 } }), epochs: 1, batch: 4 };
const before = { ...process.env };
beforeEach(() => {
  process.env.EMETH_PYTHON = realPython;
});
afterEach(() => {
  process.env = { ...before };
});

async function count(text: string) {
  await using scratch = await openScratch();
  await mkdir(scratch.file('jürgen'));
  const path = scratch.file('jürgen/bücher.txt');
  await writeFile(path, text);
  return (await countDataset(path, params)).prepared;
}

test('an old locale: a path beyond ASCII is found, and counted', async () => {
  Object.assign(process.env, { LC_ALL: 'C', PYTHONUTF8: '0', PYTHONCOERCECLOCALE: '0' });
  expect(await count('Grüße! '.repeat(100))).toMatchObject({ vocabSize: 256, blockTokens: 64, epochBlocks: 13 });
});

test('too little text: throws data/refused with the rule of the masters', async () => {
  await expect(count('a'.repeat(70))).rejects.toMatchObject({
    code: 'data/refused',
    message:
      'The dataset gives 65 tokens to train on and 5 held out; one block needs 65 and 17. Give more text, or a smaller batch or context.',
  });
});

test('shut in: reads the data set alone', async () => {
  process.env.EMETH_SANDBOX = 'require';
  expect(await count('Grüße! '.repeat(100))).toMatchObject({ vocabSize: 256, epochBlocks: 13 });
});

test('no Python: throws data/not-counted', async () => {
  process.env.EMETH_PYTHON = '/nowhere/python';
  await expect(count('a'.repeat(700))).rejects.toMatchObject({ code: 'data/not-counted' });
});
