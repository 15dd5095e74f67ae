/** Where a role's private key comes from: its configuration, or an account made in its data directory. */
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type KeySource, newAccount } from '../chain/sending/wallet';
import { AppError, errorCode } from '../lib/errors';

export type KeyError = { code: 'config/no-key'; dataDir: string } | { code: 'config/no-password'; path: string };

/** The settings that name an account, the same for every role. */
export interface KeySettings {
  privateKey?: string | undefined;
  privateKeyFile?: string | undefined;
  keystore?: string | undefined;
  passwordFile?: string | undefined;
}

const KEY_FILE = 'account.key';

/**
 * Returns the key that the configuration names, or else that of the account made in the data directory.
 * Throws `config/no-key`, and `config/no-password` when a keystore's password cannot be read.
 */
export function keyOf(config: KeySettings, dataDir: string): KeySource {
  const { privateKey, privateKeyFile, keystore, passwordFile } = config;
  if (privateKey) return { privateKey };
  if (privateKeyFile) return { privateKeyFile };
  if (keystore && passwordFile) {
    requirePassword(passwordFile, keystore);
    return { keystore, passwordFile };
  }
  const own = join(dataDir, KEY_FILE);
  if (existsSync(own)) return { privateKeyFile: own };
  throw new AppError<KeyError>(
    { code: 'config/no-key', dataDir },
    `The configuration names no key and ${own} does not exist; set privateKeyFile, or make one with \`emeth new-account\`.`,
  );
}

function requirePassword(path: string, keystore: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    throw new AppError<KeyError>(
      { code: 'config/no-password', path },
      `The password file ${path} cannot be read; correct passwordFile in the configuration, or write the password of ${keystore} there, for this account alone (mode 0600).`,
      { cause },
    );
  }
}

/** As `keyOf`; without a key, makes an account in the data directory, which is used from then on. */
export async function keyOrNew(config: KeySettings, dataDir: string): Promise<KeySource> {
  try {
    return keyOf(config, dataDir);
  } catch (error) {
    if (errorCode(error) !== 'config/no-key') throw error;
    const { privateKey } = await newAccount();
    const path = join(dataDir, KEY_FILE);
    await mkdir(dataDir, { recursive: true });
    await writeFile(path, `${privateKey}\n`, { mode: 0o600, flag: 'wx' });
    return { privateKeyFile: path };
  }
}
