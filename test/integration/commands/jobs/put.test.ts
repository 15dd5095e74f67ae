/** `emeth put`: a base's directory and a file go into a storage once, and what is no base does not. */
import { appendFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseBlobReference } from '../../../../src/domain/blob-reference';
import type { Sha256 } from '../../../../src/domain/ids';
import { sha256 } from '../../../../src/lib/hash';
import { type ClientChain, openClientChain } from '../../../support/client-chain';
import { openTestStorage, type TestStorage } from '../../../support/storage';
import { listBase, TINY_PARAMETERS, tinyBase, writeBase } from '../../../support/tiny-base';

let chain: ClientChain;
let storage: TestStorage;
let put: (path: string) => Promise<PutAnswer>;
interface PutAnswer {
  reference: string;
  files: { name: string; sent: boolean }[];
  base?: { parameters: number; licence: string };
  skipped?: string[];
}

beforeAll(async () => {
  storage = await openTestStorage();
  chain = await openClientChain();
  // The account that may upload at this storage.
  const run = await chain.as(`0x${'11'.repeat(32)}`, { storageApi: storage.url, allowPrivateStorages: true });
  put = (path) => run<PutAnswer>('put', path);
});
afterAll(async () => {
  await chain[Symbol.asyncDispose]();
  await storage[Symbol.asyncDispose]();
});

test('directory: its files and their list are stored under one reference', async () => {
  const dir = await writeBase(chain.file('base'));
  const { reference, files, base } = await put(dir);
  const { list, text } = listBase();
  expect(parseBlobReference(reference)).toEqual({ sha256: list, locations: [storage.url] });
  expect(base).toMatchObject({ parameters: TINY_PARAMETERS, licence: 'apache-2.0' });
  expect(files.map(({ sent }) => sent)).toEqual(files.map(() => true));
  for (const content of [...Object.values(tinyBase()), Buffer.from(text)])
    expect(await storage.blobs.stat(sha256(content) as Sha256)).toEqual({ bytes: content.length });
});

test('directory again, with one file changed: only that and the list are sent', async () => {
  const dir = await writeBase(chain.file('again'));
  await put(dir);
  await appendFile(join(dir, 'README.md'), 'More.\n');
  const { files } = await put(dir);
  expect(files.filter(({ sent }) => sent).map(({ name }) => name)).toEqual(['README.md', 'list of files']);
});

test('one file: a reference to train on', async () => {
  await writeFile(chain.file('book.txt'), 'Call me Ishmael.');
  const { reference } = await put(chain.file('book.txt'));
  expect(parseBlobReference(reference)?.sha256).toBe(sha256('Call me Ishmael.'));
});

test.each([
  ['base/pickled', { 'model.safetensors': undefined, 'pytorch_model.bin': 'x' }],
  ['base/adapter', { 'config.json': undefined, 'adapter_config.json': '{}' }],
  ['base/bad-weights', { 'model.safetensors': 'x'.repeat(100) }],
  ['base/no-tokenizer', { 'tokenizer.json': undefined }],
  ['usage/empty-file', { 'special_tokens_map.json': '' }],
])('%s: nothing is uploaded', async (code, changes) => {
  const files = tinyBase({ 'README.md': code, ...changes });
  const dir = await writeBase(chain.file(code.replace('/', '-')), files);
  await expect(put(dir)).rejects.toThrow(code);
  expect(await storage.blobs.stat(sha256(code) as Sha256)).toBeUndefined();
});

test('link out of the directory: refused, the file it leads to is not sent', async () => {
  const dir = await writeBase(chain.file('links'));
  await writeFile(chain.file('secret'), 'my secret');
  await symlink(chain.file('secret'), join(dir, 'NOTICE'));
  await expect(put(dir)).rejects.toThrow('usage/outside-link');
  expect(await storage.blobs.stat(sha256('my secret') as Sha256)).toBeUndefined();
});
