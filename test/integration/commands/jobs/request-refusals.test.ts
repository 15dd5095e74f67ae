/** What no master would train is refused by `emeth request`, before anything is uploaded or paid. */
import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type ClientChain, openClientChain } from '../../../support/client-chain';
import { type HubServer, openHubServer } from '../../../support/hub-server';
import { byteTokenizer, tensorFile, tinyBase, tinyConfig, tinyTensors } from '../../../support/tiny-base';
import { realPython } from '../../../support/tiny-job';

jest.setTimeout(120_000);

const BASE = 'hf:tiny/base';
/** As many rows as `byteTokenizer` has ids. */
const ROWS = 257;
const config = { ...tinyConfig, vocab_size: ROWS };
const weights = (changes: object = {}) =>
  tensorFile({ ...tinyTensors, 'model.embed_tokens.weight': ['F32', ROWS, 16], ...changes });
const files = (changes: Record<string, Buffer | string | undefined> = {}) =>
  tinyBase({
    'config.json': JSON.stringify(config),
    'model.safetensors': weights(),
    'tokenizer.json': JSON.stringify(byteTokenizer()),
    'tokenizer_config.json': JSON.stringify({ eos_token: '<|endoftext|>' }),
    ...changes,
  });

let client: ClientChain;
let hub: HubServer;
const before = process.env.HF_ENDPOINT;

beforeAll(async () => {
  client = await openClientChain({ storageApi: 'http://127.0.0.1:1' });
  hub = await openHubServer();
  process.env.HF_ENDPOINT = hub.url;
  hub.commit('tiny/base', files());
  for (const [name, changes] of Object.entries(brokenBases)) hub.commit(`tiny/${name}`, files(changes));
  await promisify(execFile)(realPython, ['-c', MAKE_DATA, client.file('')]);
  for (const [name, content] of Object.entries(data)) await writeFile(client.file(name), content);
});

afterAll(async () => {
  if (before === undefined) delete process.env.HF_ENDPOINT;
  else process.env.HF_ENDPOINT = before;
  await client[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
});

const brokenBases: Record<string, Record<string, Buffer | string | undefined>> = {
  pickled: { 'model.safetensors': undefined, 'pytorch_model.bin': 'pickle' },
  code: { 'config.json': JSON.stringify({ ...config, auto_map: { AutoModelForCausalLM: 'modeling.Mine' } }) },
  encoder: { 'config.json': JSON.stringify({ ...config, model_type: 't5', architectures: ['T5Model'] }) },
  adapter: { 'config.json': undefined, 'model.safetensors': undefined, 'adapter_config.json': '{}' },
  mute: { 'tokenizer.json': undefined },
  narrow: {
    'config.json': JSON.stringify({ ...config, vocab_size: 64 }),
    'model.safetensors': tensorFile(tinyTensors),
  },
  swapped: { 'chat_template.jinja': "{% for m in messages | reverse %}{{ m['content'] }}\n{% endfor %}" },
};

const turn = (role: string, content: string) => ({ role, content });
const chat = (i: number) => ({ messages: [turn('user', `What is ${i}?`), turn('assistant', `It is ${i}.`)] });
const lines = (records: readonly object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');
const chats = Array.from({ length: 60 }, (_, i) => chat(i));
const data: Record<string, string> = {
  'chats.jsonl': lines(chats),
  'broken.jsonl': `${lines(chats)}{"messages": [\n${lines(chats)}`,
  'mixed.jsonl': lines([...chats, { text: 'a text' }]),
  'unanswered.jsonl': lines(chats.map(({ messages }) => ({ messages: messages.slice(0, 1) }))),
  'empty.jsonl': lines([...chats, { messages: [] }]),
  'roles.jsonl': lines([...chats, { messages: [turn('wizard', 'Hocus'), turn('assistant', 'Pocus')] }]),
  'table.csv': `title,body\n${'one,two\n'.repeat(40)}`,
  'text.parquet.txt': 'PAR1 is how this text begins, and it is no parquet file. '.repeat(60),
  'whole.txt': 'a'.repeat(30_000),
  'short.jsonl': lines(chats.slice(0, 2)),
};

/** Packed data that only their own libraries write. */
const MAKE_DATA = `
import gzip, io, sys, zipfile
import pyarrow as pa, pyarrow.parquet as pq
place = sys.argv[1]
pq.write_table(pa.table({"text": pa.array([{"a": "b"}] * 50)}), place + "/nested.parquet")
inner = io.BytesIO()
with zipfile.ZipFile(inner, "w") as archive:
    archive.writestr("book.txt", "Call me Ishmael. " * 200)
locked = bytearray(inner.getvalue())
locked[6] |= 1
locked[locked.index(b"PK\\x01\\x02") + 8] |= 1
open(place + "/locked.zip", "wb").write(locked)
with gzip.open(place + "/bomb.gz", "wb", 9) as file:
    for _ in range(300):
        file.write(b"a" * 2**20)
`;

/** Refused with status 2 both ways; nothing has happened on chain, and nothing is left on the disk. */
async function expectRefused(argv: string[], words: RegExp): Promise<void> {
  const place = async () => [
    await client.provider.getBlockNumber(),
    await readdir(client.file(''), { recursive: true }),
  ];
  const first = await client.runFailing('request', '--fee', '20emt', ...argv, '--dry-run');
  expect(first).toMatchObject({ status: 2, message: expect.stringMatching(words) });
  const found = await place();
  const second = await client.runFailing('request', '--fee', '20emt', ...argv);
  expect(second).toEqual(first);
  expect(await place()).toEqual(found);
}

const small = (more: object = {}) => JSON.stringify({ model: { context: 16 }, batch: 2, ...more });

test.each([
  ['pickled weights', 'pickled', /as pickled Python, which can run code and is never opened; convert it/],
  ['code of its own', 'code', /runs code of its own \(auto_map/],
  ['an architecture not on the list', 'encoder', /is a "T5Model"; what can be trained is GPT2LMHeadModel/],
  ['an adapter for another model', 'adapter', /is an adapter, not a model: name the model that it was made for/],
  ['no tokenizer', 'mute', /has no tokenizer: save one beside the weights/],
  ['a tokenizer with more ids than rows', 'narrow', /the id 256, and a model that knows 64 tokens; one of the two/],
  ['nothing at its place', 'nowhere', /hf:tiny\/nowhere is not there/],
])('base with %s: refused, with the remedy', async (_what, name, words) => {
  const argv = ['--base', `hf:tiny/${name}`, '--tune', 'lora', '--dataset', client.file('chats.jsonl')];
  await expectRefused([...argv, '--params', small()], words);
});

test.each([
  ['a context beyond its positions', { model: { context: 64 } }, /model.context is 64, and the base reads at most 32/],
  ['targets that it has not', { lora: { targets: ['qq_proj'] } }, /No layer of the base is called qq_proj/],
  ['parameters of a model from scratch', { model: { layers: 2 } }, /model.layers is for models from scratch/],
])('base with %s: refused', async (_what, params, words) => {
  const argv = ['--base', BASE, '--tune', 'lora', '--dataset', client.file('chats.jsonl')];
  await expectRefused([...argv, '--params', JSON.stringify({ batch: 2, ...params })], words);
});

test.each([
  ['broken lines', 'broken.jsonl', {}, /line 61, is not JSON/],
  [
    'records of several kinds',
    'mixed.jsonl',
    {},
    /line 61, is of another kind \(text\) than those before \(messages\)/,
  ],
  ['no answers', 'unanswered.jsonl', {}, /line 1, has no answer/],
  ['an empty list of messages', 'empty.jsonl', {}, /line 61, has no messages/],
  ['a role that nobody knows', 'roles.jsonl', {}, /line 61, has the role 'wizard' in message 1/],
  ['no such column', 'table.csv', { data: { field: 'story' } }, /has the columns title, body, not 'story'/],
  ['an archive that is encrypted', 'locked.zip', {}, /encrypted; give an archive without a password/],
  ['an archive that is a bomb', 'bomb.gz', {}, /unpack to more than .*: that is no data but a bomb/],
  ['nested columns', 'nested.parquet', {}, /column 'text' is of type struct/],
  [
    'fewer tokens than a block',
    'short.jsonl',
    { batch: 256 },
    /one block of 256 × 16 tokens and one held-out sequence need at least/,
  ],
])('data with %s: refused, with the place', async (_what, name, more, words) => {
  const argv = ['--dataset', client.file(name), '--params', small(more)];
  await expectRefused(argv, words);
});

test('template that tells turns in another order: refused', async () => {
  const argv = ['--base', 'hf:tiny/swapped', '--tune', 'lora', '--dataset', client.file('chats.jsonl')];
  await expectRefused([...argv, '--params', small()], /The chat template changes what it has written/);
});

test('text that begins like parquet, and no such file: refused as what it claims to be', async () => {
  await expectRefused(
    ['--dataset', client.file('text.parquet.txt'), '--params', small()],
    /is a parquet file that cannot be read/,
  );
});

test('chats and a base that fit: shown whole, with the first example', async () => {
  const argv = ['--preset', 'chat-lora', '--base', BASE, '--dataset', client.file('chats.jsonl'), '--fee', '20emt'];
  const quote = await client.run<Record<string, unknown>>('request', ...argv, '--params', '{"batch":2}', '--dry-run');
  expect(quote).toMatchObject({
    base: { architecture: 'LlamaForCausalLM', licence: 'apache-2.0', hasChatTemplate: false },
    data: { form: 'messages', texts: 60, share: 1 },
    sent: false,
  });
  const params = JSON.parse(String(quote['params']));
  // Pinned to what was shown, and no longer than the base reads.
  expect(params.base).toMatch(/^hf:tiny\/base@[0-9a-f]{40}$/);
  expect(params.model.context).toBe(32);
  const { epochBlocks, blockTokens } = quote['tokens'] as { epochBlocks: number; blockTokens: number };
  expect(quote['fuelLimit']).toBe(String(3 * epochBlocks * blockTokens));
  const { example } = quote['data'] as { example: { text: string; isLearnt: boolean }[] };
  expect(example.filter(({ isLearnt }) => isLearnt).map(({ text }) => text)).toEqual([
    expect.stringContaining('It is 0.'),
  ]);
  expect(example.map(({ text }) => text).join('')).toContain('<|im_start|>user\nWhat is 0?');
  expect(await readFile(client.file('chats.jsonl'), 'utf8')).toBe(data['chats.jsonl']);
});
