/** What `emeth init` writes. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { loadConfig } from '../../../../src/config/load';
import { runInProcess } from '../../../support/cli';
import { openScratch } from '../../../support/scratch';

const settings = [
  'endpoint=http://127.0.0.1:8545',
  'emethContractAddress=0xe7f1725e7734ce288f8367e1bb143e90bb3f0512',
  'tokenContractAddress=0x5fbdb2315678afecb367f032d93f642f64180aa3',
  'my_url=http://127.0.0.1:3000',
].flatMap((setting) => ['--set', setting]);

describe('init', () => {
  test('new role: a configuration that loads and a key, both for the owner alone', async () => {
    await using scratch = await openScratch();
    const path = scratch.file('deep/master.json');
    const { status, out } = await runInProcess('init', 'master', '--config', path, ...settings, '--json');
    expect(status).toBe(0);
    expect(JSON.parse(out)).toEqual({
      config: path,
      key: scratch.file('deep/master.key'),
      address: expect.stringMatching(/^0x[0-9a-f]{40}$/),
    });
    for (const file of [path, scratch.file('deep/master.key')]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    const config = loadConfig('master', { path, isRequired: true, env: {} });
    expect(config.privateKeyFile).toBe(scratch.file('deep/master.key'));
    expect(config.my_url).toBe('http://127.0.0.1:3000');
  });

  test('required settings left out: the loader names each', async () => {
    await using scratch = await openScratch();
    const path = scratch.file('master.json');
    await runInProcess('init', 'master', '--config', path);
    expect(() => loadConfig('master', { path, isRequired: true, env: {} })).toThrow(
      /endpoint[\s\S]*emethContractAddress[\s\S]*my_url/,
    );
  });

  test.each(['worker.json', 'worker.key'])('%s exists: throws files/exists and changes nothing', async (name) => {
    await using scratch = await openScratch();
    await writeFile(scratch.file(name), 'mine');
    const { status, talk } = await runInProcess('init', 'worker', '--config', scratch.file('worker.json'));
    expect(status).toBe(2);
    expect(talk).toContain('left as it is');
    expect(await readdir(scratch.path)).toEqual([name]);
    expect(await readFile(scratch.file(name), 'utf8')).toBe('mine');
  });

  test.each([
    ['my_ulr=x', 'did you mean my_url?'],
    ['my_url', 'key=value'],
  ])('--set %s: throws init/bad-setting', async (setting, words) => {
    await using scratch = await openScratch();
    const { status, talk } = await runInProcess('init', 'master', '--config', scratch.file('m.json'), '--set', setting);
    expect(status).toBe(2);
    expect(talk).toContain(words);
    expect(await readdir(scratch.path)).toEqual([]);
  });
});
