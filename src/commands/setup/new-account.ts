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
  const { path: passwordPath, password, isNew } = choosePassword(options);
  talk('Encrypting; this takes some seconds by design.');
  const { address, keystore = '' } = await newAccount(password);
  await createFiles([
    ...(isNew ? [{ path: passwordPath, text: `${password.toString('utf8')}\n` }] : []),
    { path: options.out, text: `${keystore}\n` },
  ]);
  if (options.json) return printJson({ address, keystore: options.out, passwordFile: passwordPath });
  printLines(`address   ${address}`, `keystore  ${options.out}`, `password  ${passwordPath}`);
  talk('Keep both files safe and apart; without them the account is lost. Name them as keystore and passwordFile.');
}

function choosePassword({ passwordFile, out }: NewAccountOptions) {
  if (passwordFile === undefined) {
    return {
      path: `${out.replace(/\.json$/, '')}.password`,
      password: Buffer.from(randomBytes(24).toString('base64url')),
      isNew: true,
    };
  }
  if (!existsSync(passwordFile)) {
    throw new AppError({ code: 'usage/no-password', path: passwordFile }, `There is no password file ${passwordFile}.`);
  }
  assertPrivate(passwordFile, 'The password file');
  const bytes = readFileSync(passwordFile);
  const password = passwordIn(bytes);
  const problem = password.length > 0 ? findUtf16(bytes) : 'it is empty';
  if (problem === undefined) return { path: passwordFile, password, isNew: false };
  throw new AppError(
    { code: 'usage/no-password', path: passwordFile },
    `The password file ${passwordFile} cannot be used: ${problem}.`,
  );
}
