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

test('chats for several processes, shut in: counted by all, with what is learnt', async () => {
  process.env.EMETH_SANDBOX = 'require';
  await using scratch = await openScratch();
  const chat = (i: number) => ({
    messages: [
      { role: 'user', content: `What is ${i}? ${'Say it at length. '.repeat(20)}` },
      { role: 'assistant', content: `It is ${i}.` },
    ],
  });
  const path = scratch.file('chats.jsonl');
  // Above the size from which on data are given to processes of their own.
  await writeFile(path, Array.from({ length: 10_000 }, (_, i) => `${JSON.stringify(chat(i))}\n`).join(''));
  const counted = await countDataset(path, params);
  expect(counted).toMatchObject({ form: 'messages', texts: 10_000, share: 1 });
  expect(counted.learntTokens).toBeLessThan(counted.prepared.trainTokens / 10);
});

test('base whose tokenizer lacks, shut in: throws data/refused', async () => {
  process.env.EMETH_SANDBOX = 'require';
  await using scratch = await openScratch();
  await mkdir(scratch.file('base'));
  await writeFile(scratch.file('base/config.json'), JSON.stringify({ vocab_size: 257 }));
  await writeFile(scratch.file('book.txt'), 'Call me Ishmael. '.repeat(100));
  const tuned = JobParams.parse({ tune: 'full', base: 'hf:a/b', model: { context: 16 } });
  const counting = countDataset(scratch.file('book.txt'), { ...tuned, epochs: 1, batch: 4 }, scratch.file('base'));
  await expect(counting).rejects.toMatchObject({
    code: 'data/refused',
    message: expect.stringContaining('The base holds no tokenizer.json, nor a sentencepiece model'),
  });
});
