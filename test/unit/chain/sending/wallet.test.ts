/** Keys from every source the configuration allows, and EIP-712 signatures recovered or refused. */
import { chmod, writeFile } from 'node:fs/promises';
import { Wallet as EthersWallet } from 'ethers';
import { newAccount, openWallet, recoverTyped } from '../../../../src/chain/sending/wallet';
import { devKeys } from '../../../../src/runner/anvil';
import { openScratch } from '../../../support/scratch';

const key = `0x${'11'.repeat(32)}`;
const types = { Hello: [{ name: 'to', type: 'address' }] };
const value = { to: `0x${'ab'.repeat(20)}` };

/** Writes a file that only its owner may read. */
async function secret(path: string, text: string, encoding: BufferEncoding = 'utf8'): Promise<string> {
  await writeFile(path, text, { mode: 0o600, encoding });
  return path;
}

describe('openWallet', () => {
  test.each([
    ['a key with 0x', key],
    ['a key without 0x', key.slice(2)],
  ])('default: %s', async (_name, privateKey) => {
    const wallet = await openWallet({ privateKey }, 1);
    expect(wallet.address).toBe(new EthersWallet(key).address.toLowerCase());
  });

  test('key in a file: surrounding whitespace is ignored', async () => {
    await using scratch = await openScratch();
    const privateKeyFile = await secret(scratch.file('key'), ` ${key}\n`);
    const wallet = await openWallet({ privateKeyFile }, 1);
    expect(wallet.address).toBe(new EthersWallet(key).address.toLowerCase());
  });

  test('key in a keystore: opens only with its password', async () => {
    await using scratch = await openScratch();
    const account = await newAccount(Buffer.from('correct horse'));
    const keystore = await secret(scratch.file('account.json'), account.keystore ?? '');
    const right = await secret(scratch.file('right'), 'correct horse\n');
    const wrong = await secret(scratch.file('wrong'), 'battery staple\n');
    const wallet = await openWallet({ keystore, passwordFile: right }, 1);
    expect(wallet.address).toBe(account.address);
    const opening = openWallet({ keystore, passwordFile: wrong }, 1);
    await expect(opening).rejects.toMatchObject({ detail: { code: 'wallet/wrong-password', path: keystore } });
  });

  test('encrypted keystore as privateKeyFile: says where to name it', async () => {
    await using scratch = await openScratch();
    const { keystore = '' } = await newAccount(Buffer.from('x'));
    const opening = openWallet({ privateKeyFile: await secret(scratch.file('key'), keystore) }, 1);
    await expect(opening).rejects.toMatchObject({
      code: 'wallet/bad-key',
      message: expect.stringMatching(/passwordF/),
    });
  });

  test('files in UTF-16: named, each by its path', async () => {
    await using scratch = await openScratch();
    const wide = await secret(scratch.file('wide'), `\ufeff${key}`, 'utf16le');
    const plain = await secret(scratch.file('plain'), '{}');
    for (const source of [{ privateKeyFile: wide }, { keystore: wide, passwordFile: plain }]) {
      await expect(openWallet(source, 1)).rejects.toThrow(`The key file ${wide} cannot be used: it is UTF-16`);
    }
    await expect(openWallet({ keystore: plain, passwordFile: wide }, 1)).rejects.toThrow(
      /wide cannot be used: it is UTF/,
    );
  });

  test.each([0o640, 0o604, 0o644])('key file of mode %i: throws wallet/exposed', async (mode) => {
    await using scratch = await openScratch();
    const privateKeyFile = await secret(scratch.file('key'), key);
    await chmod(privateKeyFile, mode);
    const opening = openWallet({ privateKeyFile }, 1);
    await expect(opening).rejects.toMatchObject({
      code: 'wallet/exposed',
      message: expect.stringContaining('chmod 600'),
    });
  });

  test('key file missing: throws wallet/unreadable', async () => {
    const opening = openWallet({ privateKeyFile: '/nowhere/key' }, 1);
    await expect(opening).rejects.toMatchObject({ detail: { code: 'wallet/unreadable', path: '/nowhere/key' } });
  });

  test.each(['', '0x12', 'zz'.repeat(32), '00'.repeat(32)])(
    'key %j: throws wallet/bad-key without repeating the key',
    async (bad) => {
      const error = await openWallet({ privateKey: bad }, 1).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'wallet/bad-key' });
      expect((error as Error).cause).toBeUndefined();
      if (bad) expect(JSON.stringify([(error as Error).message, (error as Error).stack])).not.toContain(bad);
    },
  );

  test.each([...devKeys])('development key on a real chain: throws wallet/public-key', async (privateKey) => {
    await expect(openWallet({ privateKey }, 1)).rejects.toMatchObject({
      detail: { code: 'wallet/public-key', chainId: 1 },
    });
    await expect(openWallet({ privateKey }, 31337)).resolves.toBeDefined();
    await expect(openWallet({ privateKey }, 1337)).resolves.toBeDefined();
  });
});

describe('signTyped and recoverTyped', () => {
  test('default: the signer is recovered', async () => {
    const wallet = await openWallet({ privateKey: key }, 5);
    const signature = await wallet.signTyped('Emeth', types, value);
    expect(recoverTyped(5, 'Emeth', types, value, signature)).toBe(wallet.address);
  });

  test.each([
    ['another chain', 6, 'Emeth', value],
    ['another domain', 5, 'Emath', value],
    ['another value', 5, 'Emeth', { to: `0x${'ac'.repeat(20)}` }],
  ])('signature for %s: another address than the signer is recovered', async (_name, chainId, domain, other) => {
    const wallet = await openWallet({ privateKey: key }, 5);
    const signature = await wallet.signTyped('Emeth', types, value);
    expect(recoverTyped(chainId, domain, types, other, signature)).not.toBe(wallet.address);
  });

  test.each(['', '0x', 'nonsense', `0x${'ff'.repeat(65)}`])('signature %j: undefined', (signature) => {
    expect(recoverTyped(5, 'Emeth', types, value, signature)).toBeUndefined();
  });

  test('signature bound to a contract: does not count without the contract', async () => {
    const wallet = await openWallet({ privateKey: key }, 5);
    const contract = { name: 'Emeth', address: wallet.address };
    const signature = await wallet.signFor(contract, types, value);
    expect(recoverTyped(5, 'Emeth', types, value, signature)).not.toBe(wallet.address);
  });
});

describe('newAccount', () => {
  test('default: a key that opens, never the same', async () => {
    const [first, second] = [await newAccount(), await newAccount()];
    expect((await openWallet({ privateKey: first.privateKey }, 1)).address).toBe(first.address);
    expect(first.address).not.toBe(second.address);
    expect(first.keystore).toBeUndefined();
  });
});
