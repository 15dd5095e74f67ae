/** Keystores of other wallets: passwords as they take them, and what is said of files that do not open. */
import { createCipheriv, pbkdf2Sync } from 'node:crypto';
import { keccak256, Wallet } from 'ethers';
import { openKeystore } from '../../../../src/chain/sending/keystore';

const key = Buffer.alloc(32, 0x11);
const address = new Wallet(`0x${key.toString('hex')}`).address;

/** A keystore as another wallet writes it, locked with a password's bytes; fast, since it is for one test. */
function keystoreOf(password: string | Buffer, changes: object = {}, cryptoChanges: object = {}): string {
  const [salt, iv] = [Buffer.alloc(32, 1), Buffer.alloc(16, 2)];
  const derived = pbkdf2Sync(password, salt, 1, 32, 'sha256');
  const cipher = createCipheriv('aes-128-ctr', derived.subarray(0, 16), iv);
  const ciphertext = Buffer.concat([cipher.update(key), cipher.final()]);
  const crypto = {
    cipher: 'aes-128-ctr',
    ciphertext: ciphertext.toString('hex'),
    cipherparams: { iv: iv.toString('hex') },
    kdf: 'pbkdf2',
    kdfparams: { c: 1, dklen: 32, prf: 'hmac-sha256', salt: salt.toString('hex') },
    mac: keccak256(Buffer.concat([derived.subarray(16, 32), ciphertext])).slice(2),
    ...cryptoChanges,
  };
  return JSON.stringify({ version: 3, id: 'x', address: address.slice(2).toLowerCase(), crypto, ...changes });
}

const open = (text: string, password: string | Buffer) =>
  openKeystore({ path: 'k.json', text }, { path: 'pw', bytes: Buffer.from(password) });

describe('openKeystore', () => {
  test.each<[string, string | Buffer, string | Buffer]>([
    ['blanks around it', '  two words ', '  two words \n'],
    ['blanks around it that its wallet ignored', 'two words', '  two words \n'],
    ['Windows line end', 'secret', 'secret\r\n'],
    ['no line end', 'secret', 'secret'],
    ['byte order mark', 'secret', '\ufeffsecret\n'],
    ['combining accent, as bytes', 'cafe\u0301', 'cafe\u0301\n'],
    ['combining accent, normalised', 'caf\u00e9', 'cafe\u0301\n'],
    ['ligature and superscript, as bytes', '\ufb01nal\u00b2', '\ufb01nal\u00b2\n'],
    ['ligature and superscript, normalised', 'final2', '\ufb01nal\u00b2\n'],
    ['Latin-1', Buffer.from('gr\u00fcn', 'latin1'), Buffer.from('gr\u00fcn\n', 'latin1')],
  ])('password with %s: opens', async (_name, password, file) => {
    expect((await open(keystoreOf(password), file)).address).toBe(address);
  });

  test.each([
    ['version as text', { version: '3' }],
    ['address with 0X', { address: address.replace('0x', '0X') }],
    ['no address', { address: undefined }],
    ['fields in capitals', { crypto: undefined, Crypto: JSON.parse(keystoreOf('secret')).crypto }],
  ])('keystore with %s: opens', async (_name, changes) => {
    expect((await open(keystoreOf('secret', changes), 'secret')).address).toBe(address);
  });

  test.each([
    ['wrong password', keystoreOf('other'), 'wallet/wrong-password', /does not open with the password in pw/],
    ['half of a file', keystoreOf('secret').slice(0, 200), 'wallet/bad-keystore', /is cut off or damaged/],
    ['key in hex', `0x${key.toString('hex')}\n`, 'wallet/bad-keystore', /plain key; name it as privateKeyFile/],
    ['other text', 'hello', 'wallet/bad-keystore', /it is no keystore/],
    ['version 1', keystoreOf('secret', { version: 1 }), 'wallet/bad-keystore', /has version 1, and only .* version 3/],
    ['no version', keystoreOf('secret', { version: undefined }), 'wallet/bad-keystore', /has no version/],
    ['no ciphertext', keystoreOf('secret', {}, { ciphertext: undefined }), 'wallet/bad-keystore', /lacks crypto.cip/],
    ['other cipher', keystoreOf('secret', {}, { cipher: 'aes-256-gcm' }), 'wallet/bad-keystore', /aes-256-gcm/],
    ['other derivation', keystoreOf('secret', {}, { kdf: 'argon2' }), 'wallet/bad-keystore', /argon2/],
    ['wrong address', keystoreOf('secret', { address: 'ab'.repeat(20) }), 'wallet/bad-keystore', /not that of the add/],
    ['broken salt', keystoreOf('secret', {}, { kdfparams: { salt: 'zz' } }), 'wallet/bad-keystore', /cannot be used/],
  ])('%s: told apart', async (_name, text, code, words) => {
    await expect(open(text, 'secret')).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
  });
});
