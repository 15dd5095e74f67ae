/** Encrypted key files (keystore v3), as any wallet may have written them, and what can be wrong with one. */
import { Wallet as EthersWallet, isError } from 'ethers';
import { z } from 'zod';
import { withoutMark } from '../../lib/decode-text';
import { AppError } from '../../lib/errors';

export type KeystoreError =
  | { code: 'wallet/bad-keystore'; path: string; problem: string }
  | { code: 'wallet/wrong-password'; path: string };

/** What is looked at before a password is tried; the names of fields are in any case. */
const KeystoreFile = z.object({
  version: z.coerce.number(),
  crypto: z.object({
    cipher: z.string(),
    ciphertext: z.string(),
    cipherparams: z.object({ iv: z.string() }),
    kdf: z.string(),
    kdfparams: z.looseObject({ salt: z.string() }),
    mac: z.string(),
  }),
});

/**
 * Decrypts a keystore. Throws `wallet/bad-keystore` for one that no password opens, and
 * `wallet/wrong-password`.
 */
export async function openKeystore(
  keystore: { path: string; text: string },
  passwordFile: { path: string; bytes: Uint8Array },
): Promise<EthersWallet> {
  const { path, text } = keystore;
  const problem = findProblem(text);
  if (problem !== undefined) throw badKeystore(path, problem);
  for (const password of passwordsIn(passwordFile.bytes)) {
    const opened = await EthersWallet.fromEncryptedJson(text, password).catch((error: unknown) => {
      if (isError(error, 'INVALID_ARGUMENT') && error.argument === 'password') return undefined;
      throw badKeystore(path, describeDamage(error), error);
    });
    if (opened) return new EthersWallet(opened.privateKey);
  }
  throw new AppError<KeystoreError>(
    { code: 'wallet/wrong-password', path },
    `The keystore ${path} does not open with the password in ${passwordFile.path}; correct the password.`,
  );
}

/**
 * Returns what a password file may mean, likeliest first: its bytes as they are, without the end of the line,
 * as most wallets take them; the same normalised, as others do; and without the blanks around it.
 */
function passwordsIn(bytes: Uint8Array): Uint8Array[] {
  const raw = passwordIn(bytes);
  const text = raw.toString('utf8');
  const candidates = [raw, Buffer.from(text.normalize('NFKC')), Buffer.from(text.trim().normalize('NFKC'))];
  return candidates.filter((one, i) => candidates.findIndex((other) => other.equals(one)) === i);
}

/** Returns the password in a file: all of it but a byte order mark and the end of the line. */
export function passwordIn(bytes: Uint8Array): Buffer {
  const given = withoutMark(bytes);
  const end = given.at(-1) !== 0x0a ? given.length : given.at(-2) === 0x0d ? given.length - 2 : given.length - 1;
  return given.subarray(0, end);
}

function findProblem(text: string): string | undefined {
  if (/^\s*(0x)?[0-9a-fA-F]{64}\s*$/.test(text)) return 'it holds a plain key; name it as privateKeyFile instead';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text.trimStart().startsWith('{') ? 'it is cut off or damaged; restore it from a copy' : 'it is no keystore';
  }
  const { version } = lowered(value);
  if (Number(version) !== 3) {
    const found = version === undefined ? 'no version' : `version ${JSON.stringify(version)}`;
    return `it has ${found}, and only keystores of version 3 can be opened; export the key anew from its wallet`;
  }
  const parsed = KeystoreFile.safeParse({ ...lowered(value), crypto: lowered(lowered(value).crypto) });
  if (!parsed.success) {
    return `it lacks ${parsed.error.issues[0]?.path.join('.')}; restore it from a copy`;
  }
  const { cipher, kdf } = parsed.data.crypto;
  if (cipher !== 'aes-128-ctr') return `it is encrypted by ${cipher}, and only aes-128-ctr is known`;
  if (!/^(scrypt|pbkdf2)$/i.test(kdf)) return `its password goes through ${kdf}, and only scrypt and pbkdf2 are known`;
  return undefined;
}

/** ethers names the field it could not use. */
function describeDamage(error: unknown): string {
  if (!isError(error, 'INVALID_ARGUMENT')) return 'it is damaged; restore it from a copy';
  if (error.argument === 'address') return 'its key is not that of the address it names; restore it from a copy';
  return `its ${error.argument} cannot be used; restore it from a copy`;
}

function lowered(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key.toLowerCase(), member]));
}

function badKeystore(path: string, problem: string, cause?: unknown): AppError<KeystoreError> {
  return new AppError(
    { code: 'wallet/bad-keystore', path, problem },
    `The keystore ${path} cannot be opened: ${problem}.`,
    { cause },
  );
}
