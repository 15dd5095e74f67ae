import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { openWallet } from '../../../src/chain/wallet';
import { runInProcess } from '../../support/cli';
import { openScratch } from '../../support/scratch';

describe('new-account', () => {
  test('default: a keystore that opens with the password beside it, both for the owner alone', async () => {
    await using scratch = await openScratch();
    const { status, out } = await runInProcess('new-account', '--out', scratch.file('k.json'), '--json');
    expect(status).toBe(0);
    const { address, keystore, passwordFile } = JSON.parse(out) as Record<string, string>;
    for (const file of [keystore, passwordFile]) expect((await stat(file ?? '')).mode & 0o777).toBe(0o600);
    const wallet = await openWallet({ keystore: keystore ?? '', passwordFile: passwordFile ?? '' }, 1);
    expect(wallet.address).toBe(address);
  });

  test('throws files/exists and writes nothing over anything', async () => {
    await using scratch = await openScratch();
    await writeFile(scratch.file('k.json'), 'mine');
    const { status } = await runInProcess('new-account', '--out', scratch.file('k.json'));
    expect(status).toBe(2);
    expect(await readdir(scratch.path)).toEqual(['k.json']);
    expect(await readFile(scratch.file('k.json'), 'utf8')).toBe('mine');
  });

  test.each([
    ['missing', undefined, 0o600, 2],
    ['empty', '\n', 0o600, 2],
    ['readable by others', 'secret', 0o644, 4],
  ])('throws when the password file is %s', async (_name, content, mode, status) => {
    await using scratch = await openScratch();
    const path = scratch.file('password');
    if (content !== undefined) await writeFile(path, content);
    if (content !== undefined) await chmod(path, mode);
    const result = await runInProcess('new-account', '--out', scratch.file('k.json'), '--password-file', path);
    expect(result.status).toBe(status);
  });
});
