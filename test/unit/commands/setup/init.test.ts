/** What `emeth init` writes. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { keyOf } from '../../../../src/app/keys';
import { openWallet } from '../../../../src/chain/sending/wallet';
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
  test('new role: a configuration that loads and an encrypted key, for the owner alone', async () => {
    await using scratch = await openScratch();
    const path = scratch.file('deep/master.json');
    const { status, out } = await runInProcess('init', 'master', '--config', path, ...settings, '--json');
    expect(status).toBe(0);
    const keystore = scratch.file('deep/master.keystore.json');
    const passwordFile = scratch.file('deep/master.password');
    const { address, ...files } = JSON.parse(out);
    expect(files).toEqual({ config: path, keystore, passwordFile });
    for (const file of [path, keystore, passwordFile]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    const config = loadConfig('master', { path, isRequired: true, env: {} });
    expect(config).toMatchObject({ keystore, passwordFile, my_url: 'http://127.0.0.1:3000' });
    expect((await openWallet(keyOf(config, scratch.path), 1)).address).toBe(address);
  });

  test('own password file: it opens the key, and no other is written', async () => {
    await using scratch = await openScratch();
    const passwordFile = scratch.file('mine');
    await writeFile(passwordFile, 'correct horse', { mode: 0o600 });
    const path = scratch.file('worker.json');
    const given = ['--set', 'master_node_url=http://127.0.0.1:3000', '--password-file', passwordFile];
    const { out } = await runInProcess('init', 'worker', '--config', path, ...given, '--json');
    const config = loadConfig('worker', { path, isRequired: true, env: {} });
    expect(config.passwordFile).toBe(passwordFile);
    expect((await openWallet(keyOf(config, scratch.path), 1)).address).toBe(JSON.parse(out).address);
    expect((await readdir(scratch.path)).sort()).toEqual(['mine', 'worker.json', 'worker.keystore.json']);
  });

  test('--plain-key: the key itself in a file', async () => {
    await using scratch = await openScratch();
    const path = scratch.file('master.json');
    const given = ['--config', path, ...settings, '--plain-key', '--json'];
    const { out } = await runInProcess('init', 'master', ...given);
    const privateKeyFile = scratch.file('master.key');
    expect(JSON.parse(out)).toMatchObject({ privateKeyFile });
    expect((await stat(privateKeyFile)).mode & 0o777).toBe(0o600);
    expect(loadConfig('master', { path, isRequired: true, env: {} }).privateKeyFile).toBe(privateKeyFile);
  });

  test('required settings left out: the loader names each', async () => {
    await using scratch = await openScratch();
    const path = scratch.file('master.json');
    await runInProcess('init', 'master', '--plain-key', '--config', path);
    expect(() => loadConfig('master', { path, isRequired: true, env: {} })).toThrow(
      /endpoint[\s\S]*emethContractAddress[\s\S]*my_url/,
    );
  });

  test.each(['worker.json', 'worker.keystore.json', 'worker.password'])(
    '%s exists: throws files/exists and changes nothing',
    async (name) => {
      await using scratch = await openScratch();
      await writeFile(scratch.file(name), 'mine');
      const { status, talk } = await runInProcess('init', 'worker', '--config', scratch.file('worker.json'));
      expect(status).toBe(2);
      expect(talk).toContain('left as it is');
      expect(await readdir(scratch.path)).toEqual([name]);
      expect(await readFile(scratch.file(name), 'utf8')).toBe('mine');
    },
  );

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
