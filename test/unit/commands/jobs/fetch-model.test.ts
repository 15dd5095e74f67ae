/** How the files of a model are fetched: all or none. */
import { readdir, writeFile } from 'node:fs/promises';
import { fetchModel } from '../../../../src/commands/jobs/fetch-model';
import { Sha256 } from '../../../../src/domain/ids';
import type { Manifest } from '../../../../src/protocol/manifest';
import { openScratch } from '../../../support/scratch';

const manifest: Pick<Manifest, 'model'> = {
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
});
