/** `emeth new-account`: makes an account as an encrypted key file. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { passwordIn } from '../../chain/sending/keystore';
import { newAccount } from '../../chain/sending/wallet';
import { assertPrivate } from '../../config/secrets';
import { findUtf16 } from '../../lib/decode-text';
import { AppError } from '../../lib/errors';
import { createFiles } from '../../terminal/files';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';

interface NewAccountOptions extends CommonOptions {
  out: string;
  passwordFile?: string | undefined;
}

export async function makeAccount(options: NewAccountOptions): Promise<void> {
  const { out, passwordFile } = options;
  const newPasswordFile = `${out.replace(/\.json$/, '')}.password`;
  const { address, names, files } = await makeKeystore({ keystore: out, newPasswordFile, passwordFile });
  await createFiles(files);
  if (options.json) return printJson({ address, ...names });
  printLines(`address   ${address}`, `keystore  ${names.keystore}`, `password  ${names.passwordFile}`);
  talk('Keep both files safe and apart; without them the account is lost. Name them as keystore and passwordFile.');
}

/** Makes an account with an encrypted key, by a password given or new; returns the files to write. */
export async function makeKeystore(place: {
  keystore: string;
  newPasswordFile: string;
  passwordFile: string | undefined;
}) {
  const { keystore: path, newPasswordFile, passwordFile } = place;
  const password = passwordFile === undefined ? newPassword() : readPassword(passwordFile);
  talk('Encrypting; this takes some seconds by design.');
  const { address, keystore = '' } = await newAccount(password);
  const isNew = passwordFile === undefined;
  return {
    address,
    names: { keystore: path, passwordFile: passwordFile ?? newPasswordFile },
    files: [
      ...(isNew ? [{ path: newPasswordFile, text: `${password.toString('utf8')}\n` }] : []),
      { path, text: `${keystore}\n` },
    ],
  };
}

function newPassword(): Buffer {
  return Buffer.from(randomBytes(24).toString('base64url'));
}

function readPassword(passwordFile: string): Buffer {
  if (!existsSync(passwordFile)) {
    throw new AppError({ code: 'usage/no-password', path: passwordFile }, `There is no password file ${passwordFile}.`);
  }
  assertPrivate(passwordFile, 'The password file');
  const bytes = readFileSync(passwordFile);
  const password = passwordIn(bytes);
  const problem = password.length > 0 ? findUtf16(bytes) : 'it is empty';
  if (problem === undefined) return password;
  throw new AppError(
    { code: 'usage/no-password', path: passwordFile },
    `The password file ${passwordFile} cannot be used: ${problem}.`,
  );
}
