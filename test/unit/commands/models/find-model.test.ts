/** Where a command finds a model, and the base of an adapter. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findModel } from '../../../../src/commands/models/find-model';
import { openScratch } from '../../../support/scratch';

async function writeAdapter(dir: string, recorded: object): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'adapter_config.json'), JSON.stringify(recorded));
}

describe('findModel', () => {
  test('whole model: needs no base, and refuses one', async () => {
    await using scratch = await openScratch();
    await writeFile(scratch.file('config.json'), '{}');
    expect(await findModel(scratch.path)).toEqual({ directory: scratch.path });
    await expect(findModel(scratch.path, '/')).rejects.toMatchObject({ detail: { code: 'usage/needless-base' } });
  });

  test('adapter: base named, beside it, recorded, or in the cache of the hub', async () => {
    await using scratch = await openScratch();
    const directory = scratch.file('adapter');
    const recorded = scratch.file('recorded');
    await mkdir(recorded);
    await writeAdapter(directory, { base_model_name_or_path: recorded });
    expect(await findModel(directory)).toEqual({ directory, base: recorded });
    await mkdir(join(directory, 'base'));
    expect(await findModel(directory)).toEqual({ directory, base: join(directory, 'base') });
    expect(await findModel(directory, scratch.path)).toEqual({ directory, base: scratch.path });

    const other = scratch.file('other');
    await writeAdapter(other, { base_model_name_or_path: 'org/name', revision: 'abc' });
    const cached = join(scratch.path, 'hub', 'models--org--name', 'snapshots', 'abc');
    await mkdir(cached, { recursive: true });
    process.env.HF_HUB_CACHE = scratch.file('hub');
    try {
      expect(await findModel(other)).toEqual({ directory: other, base: cached });
    } finally {
      delete process.env.HF_HUB_CACHE;
    }
  });

  test('directory that holds no model, or a broken adapter: says which to name', async () => {
    await using scratch = await openScratch();
    await expect(findModel(scratch.path)).rejects.toMatchObject({ detail: { code: 'usage/no-model' } });
    await writeFile(scratch.file('adapter_config.json'), '[');
    await expect(findModel(scratch.path)).rejects.toThrow('name the one that `emeth result --out` wrote');
  });

  test('base that is nowhere: says how to fetch it', async () => {
    await using scratch = await openScratch();
    const directory = scratch.file('adapter');
    await writeAdapter(directory, { base_model_name_or_path: 'org/none', revision: 'abc' });
    await expect(findModel(directory)).rejects.toThrow('hf download org/none --revision abc');
    await expect(findModel(scratch.file('none'))).rejects.toMatchObject({ detail: { code: 'usage/no-model' } });
  });
});
