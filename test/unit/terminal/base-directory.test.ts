/** A base's directory as somebody names it: links, folders, empty files, and a cache of Hugging Face's. */
import { once } from 'node:events';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { readBaseDirectory } from '../../../src/terminal/base-directory';
import { openScratch } from '../../support/scratch';
import { tinyBase, writeBase } from '../../support/tiny-base';

const names = Object.keys(tinyBase()).sort();

async function openBase() {
  const scratch = await openScratch();
  return { ...scratch, dir: await writeBase(scratch.file('base')) };
}

test('directory with more in it: what makes a base is taken, the rest named', async () => {
  await using base = await openBase();
  await mkdir(join(base.dir, 'onnx'));
  await writeFile(join(base.dir, 'onnx', 'model.onnx'), 'x');
  await writeFile(join(base.dir, 'modeling_x.py'), 'x');
  const found = await readBaseDirectory(base.dir);
  expect(found.files.map(({ name }) => name)).toEqual(names);
  expect(found).toMatchObject({ skipped: ['modeling_x.py', 'onnx/'], flaw: undefined });
});

test('snapshot in the cache of Hugging Face: its links lead to its blobs', async () => {
  await using scratch = await openScratch();
  const repo = scratch.file('models--tiny--base');
  const blobs = await writeBase(join(repo, 'blobs'));
  const snapshot = join(repo, 'snapshots', 'a1'.repeat(20));
  await mkdir(snapshot, { recursive: true });
  for (const name of names) await symlink(join('..', '..', 'blobs', name), join(snapshot, name));
  const { files } = await readBaseDirectory(snapshot);
  expect(files.map(({ path }) => path)).toEqual(names.map((name) => join(blobs, name)));
});

test.each([
  ['a secret of this account', 'usage/outside-link', (dir: string, away: string) => [away, join(dir, 'NOTICE')]],
  ['nowhere', 'usage/unreadable-file', (dir: string) => [join(dir, 'nothing'), join(dir, 'NOTICE')]],
])('link to %s: %s', async (_what, code, linkOf) => {
  await using base = await openBase();
  await writeFile(base.file('away'), 'secret');
  const [target = '', path = ''] = linkOf(base.dir, base.file('away'));
  await symlink(target, path);
  await expect(readBaseDirectory(base.dir)).rejects.toMatchObject({ code });
});

test('link within the directory: followed', async () => {
  await using base = await openBase();
  await rm(join(base.dir, 'config.json'));
  await writeFile(join(base.dir, 'config-1.json'), '{}');
  await symlink('config-1.json', join(base.dir, 'config.json'));
  const { files } = await readBaseDirectory(base.dir);
  expect(files.find(({ name }) => name === 'config.json')?.bytes).toBe(2);
});

test('empty file, or something that is none: usage/…', async () => {
  await using base = await openBase();
  await writeFile(join(base.dir, 'chat_template.jinja'), '');
  await expect(readBaseDirectory(base.dir)).rejects.toMatchObject({ code: 'usage/empty-file' });
  await rm(join(base.dir, 'chat_template.jinja'));
  const socket = createServer().listen(join(base.dir, 'chat_template.jinja'));
  await once(socket, 'listening');
  await expect(readBaseDirectory(base.dir)).rejects.toMatchObject({ code: 'usage/not-a-file' });
  socket.close();
});
