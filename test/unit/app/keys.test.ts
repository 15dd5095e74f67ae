/** Which key a role uses. */
import { readdir, stat } from 'node:fs/promises';
import { keyOf, keyOrNew } from '../../../src/app/keys';
import { openWallet } from '../../../src/chain/sending/wallet';
import { openScratch } from '../../support/scratch';

const addressOf = async (source: ReturnType<typeof keyOf>) => (await openWallet(source, 1)).address;

describe('keyOf', () => {
  test.each([
    [{ privateKey: 'a' }, { privateKey: 'a' }],
    [{ privateKeyFile: '/k' }, { privateKeyFile: '/k' }],
    [
      { keystore: '/k', passwordFile: __filename },
      { keystore: '/k', passwordFile: __filename },
    ],
  ])('settings %j: name the key', (config, source) => expect(keyOf(config, '/nowhere')).toEqual(source));

  test('no key anywhere: throws config/no-key', () => {
    expect(() => keyOf({}, '/nowhere')).toThrow(/emeth new-account/);
  });
});

describe('a password file that is not there', () => {
  const config = { keystore: '/k', passwordFile: '/nowhere/password' };

  test('unreadable password file: throws config/no-password, which names it', () => {
    expect(() => keyOf(config, '/nowhere')).toThrow(
      'The password file /nowhere/password cannot be read; correct passwordFile',
    );
  });

  test('unreadable password file: no other account is made', async () => {
    await using scratch = await openScratch();
    await expect(keyOrNew(config, scratch.file('data'))).rejects.toMatchObject({ code: 'config/no-password' });
    expect(await readdir(scratch.path)).toEqual([]);
  });
});

describe('keyOrNew', () => {
  test('no key: makes one, once, for the owner alone', async () => {
    await using scratch = await openScratch();
    const first = await keyOrNew({}, scratch.file('data'));
    const again = await keyOrNew({}, scratch.file('data'));
    expect(again).toEqual(first);
    expect(await addressOf(again)).toBe(await addressOf(first));
    expect((await stat(scratch.file('data/account.key'))).mode & 0o777).toBe(0o600);
    expect(keyOf({}, scratch.file('data'))).toEqual(first);
  });
});
