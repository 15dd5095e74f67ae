/** How the files of a model are fetched: all or none. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fetchModel } from '../../../../src/commands/jobs/fetch-model';
import { Sha256 } from '../../../../src/domain/ids';
import { canonicalJson, sha256 } from '../../../../src/lib/hash';
import type { Manifest } from '../../../../src/protocol/manifest';
import { plannedParams } from '../../../support/planned-params';
import { openScratch } from '../../../support/scratch';

const manifest: Pick<Manifest, 'model' | 'params' | 'base'> = {
  params: resolveParams({}),
  model: [
    { name: 'config.json', sha256: Sha256.parse('aa'.repeat(32)), bytes: 1 },
    { name: 'model.safetensors', sha256: Sha256.parse('bb'.repeat(32)), bytes: 1 },
  ],
};

describe('fetchModel', () => {
  test('all files arrive: the directory holds them', async () => {
    await using scratch = await openScratch();
    const source = { fetchTo: (sha256: string, path: string) => writeFile(path, sha256) };
    await fetchModel(manifest, scratch.file('model'), source);
    expect(await readdir(scratch.path)).toEqual(['model']);
    expect((await readdir(scratch.file('model'))).sort()).toEqual(['config.json', 'model.safetensors']);
  });

  test('a file fails: nothing is left behind', async () => {
    await using scratch = await openScratch();
    const source = {
      async fetchTo(sha256: string, path: string) {
        if (sha256.startsWith('bb')) throw new Error('cut');
        await writeFile(path, sha256);
      },
    };
    await expect(fetchModel(manifest, scratch.file('model'), source)).rejects.toThrow('cut');
    expect(await readdir(scratch.path)).toEqual([]);
  });

  test('directory exists: throws files/exists before fetching', async () => {
    await using scratch = await openScratch();
    await writeFile(scratch.file('model'), 'mine');
    const source = { fetchTo: () => Promise.reject(new Error('fetched')) };
    await expect(fetchModel(manifest, scratch.file('model'), source)).rejects.toThrow(/left as it is/);
  });

  test('adapter of a base that no hub has: the base lies beside it, and is named there', async () => {
    await using scratch = await openScratch();
    const model = scratch.file('model');
    await fetchModel(adapter({ merge: false }), model, blobs);
    expect((await readdir(join(model, 'base'))).sort()).toEqual(['config.json', 'model.safetensors']);
    const config = JSON.parse(await readFile(join(model, 'adapter_config.json'), 'utf8'));
    expect(config).toEqual({ r: 8, base_model_name_or_path: resolve(model, 'base') });
  });

  test('own copy of the base: is checked, named and not fetched', async () => {
    await using scratch = await openScratch();
    const own = scratch.file('own');
    await mkdir(own);
    for (const [name, text] of Object.entries(baseFiles)) await writeFile(join(own, name), text);
    const model = scratch.file('model');
    await fetchModel(adapter({ merge: false }), model, blobs, own);
    expect((await readdir(model)).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
    const config = JSON.parse(await readFile(join(model, 'adapter_config.json'), 'utf8'));
    expect(config.base_model_name_or_path).toBe(own);
    await writeFile(join(own, 'config.json'), 'changed');
    const other = fetchModel(adapter({ merge: false }), scratch.file('other'), blobs, own);
    await expect(other).rejects.toMatchObject({ detail: { code: 'usage/other-base', path: join(own, 'config.json') } });
  });

  test('adapter and merged model: each in a folder of its own', async () => {
    await using scratch = await openScratch();
    const model = scratch.file('model');
    await fetchModel(adapter({ merge: true }), model, blobs);
    expect((await readdir(model)).sort()).toEqual(['adapter', 'model.safetensors']);
    expect((await readdir(join(model, 'adapter'))).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
    ]);
  });
});

const baseFiles = { 'config.json': '{}', 'model.safetensors': 'weights' };
const list = canonicalJson({
  format: 'emeth-directory-1',
  files: Object.entries(baseFiles).map(([name, text]) => ({
    name,
    sha256: sha256(Buffer.from(text)),
    bytes: text.length,
  })),
});
const held = new Map(
  [list, '{"r":8}', 'adapter', ...Object.values(baseFiles)].map((text) => [sha256(Buffer.from(text)), text]),
);
const blobs = { fetchTo: (name: string, path: string) => writeFile(path, held.get(name) ?? 'missing') };

function adapter({ merge }: { merge: boolean }): Pick<Manifest, 'model' | 'params' | 'base'> {
  const hash = (text: string) => Sha256.parse(sha256(Buffer.from(text)));
  const reference = `sha256:${hash(list)}`;
  const size = { parameters: 1, trainable: 1, baseBytes: 1, layers: 1, width: 1 };
  const files = { 'adapter_config.json': '{"r":8}', 'adapter_model.safetensors': 'adapter' };
  const model = Object.entries(merge ? { ...files, 'model.safetensors': 'weights' } : files);
  return {
    params: resolveParams({ tune: 'lora', base: reference, lora: { merge } }),
    base: { reference, list: hash(list), size } as Manifest['base'],
    model: model.map(([name, text]) => ({ name, sha256: hash(text), bytes: text.length })),
  };
}

function resolveParams(params: object): Manifest['params'] {
  return plannedParams(params);
}
