/** The key files that `emeth new-account` writes. */
import { createDecipheriv, scryptSync } from 'node:crypto';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { keccak256, Wallet } from 'ethers';
import { openWallet } from '../../../../src/chain/sending/wallet';
import { runInProcess } from '../../../support/cli';
import { openScratch } from '../../../support/scratch';

describe('new-account', () => {
  test('new account: a standard keystore and its password, both for the owner alone', async () => {
    await using scratch = await openScratch();
    const { status, out } = await runInProcess('new-account', '--out', scratch.file('k.json'), '--json');
    expect(status).toBe(0);
    const { address, keystore = '', passwordFile = '' } = JSON.parse(out) as Record<string, string>;
    for (const file of [keystore, passwordFile]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    const wallet = await openWallet({ keystore, passwordFile }, 1);
    expect(wallet.address).toBe(address);

    const password = (await readFile(passwordFile, 'utf8')).trim();
    const privateKey = openByTheBook(JSON.parse(await readFile(keystore, 'utf8')), password);
    expect(new Wallet(`0x${privateKey}`).address.toLowerCase()).toBe(address);
  });

  test('keystore exists: throws files/exists and overwrites nothing', async () => {
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
  ])('password file is %s: refused', async (_name, content, mode, status) => {
    await using scratch = await openScratch();
    const path = scratch.file('password');
    if (content !== undefined) await writeFile(path, content);
    if (content !== undefined) await chmod(path, mode);
    const result = await runInProcess('new-account', '--out', scratch.file('k.json'), '--password-file', path);
    expect(result.status).toBe(status);
  });
});

interface KeystoreV3 {
  version: number;
  crypto: {
    cipher: string;
    ciphertext: string;
    cipherparams: { iv: string };
    kdf: string;
    kdfparams: { n: number; r: number; p: number; dklen: number; salt: string };
    mac: string;
  };
}

/**
 * Opens a keystore as the Web3 Secret Storage definition has it, with nothing but Node's own cryptography and
 * keccak.
 */
function openByTheBook(file: KeystoreV3, password: string): string {
  // Strict readers know no other fields, and none in capitals.
  expect(Object.keys(file).sort()).toEqual(['address', 'crypto', 'id', 'version']);
  const { crypto } = file;
  if (file.version !== 3) throw new Error('not version 3');
  expect([crypto.kdf, crypto.cipher]).toEqual(['scrypt', 'aes-128-ctr']);
  const { n, r, p, dklen, salt } = crypto.kdfparams;
  const key = scryptSync(password, Buffer.from(salt, 'hex'), dklen, { N: n, r, p, maxmem: 256 * n * r });
  const ciphertext = Buffer.from(crypto.ciphertext, 'hex');
  expect(keccak256(Buffer.concat([key.subarray(16, 32), ciphertext])).slice(2)).toBe(crypto.mac);
  const decipher = createDecipheriv('aes-128-ctr', key.subarray(0, 16), Buffer.from(crypto.cipherparams.iv, 'hex'));
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('hex');
}
