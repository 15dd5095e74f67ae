import type { Command } from 'commander';
import { AppError } from '../../lib/errors';
import { type CommonOptions, example } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';

interface NewAccountOptions extends CommonOptions {
  out: string;
  passwordFile?: string | undefined;
}

export function registerNewAccount(program: Command): void {
  program
    .command('new-account')
    .description('make an account: an encrypted key file (keystore v3)')
    .option('--out <file>', 'where to write it; never overwritten', 'config/keystore.json')
    .option('--password-file <file>', 'file with the password (default: one is made up and kept beside the keystore)')
    .addHelpText('after', example('emeth new-account --out config/worker.keystore.json'))
    .action(makeAccount);
}

async function makeAccount(options: NewAccountOptions): Promise<void> {
  const { newAccount } = await import('../../chain/sending/wallet.js');
  const { createFiles } = await import('../../terminal/files.js');
  const { path: passwordPath, password, isNew } = await choosePassword(options);
  talk('Encrypting; this takes some seconds on purpose.');
  const { address, keystore = '' } = await newAccount(password);
  await createFiles([
    ...(isNew ? [{ path: passwordPath, text: `${password}\n` }] : []),
    { path: options.out, text: `${keystore}\n` },
  ]);
  if (options.json) return printJson({ address, keystore: options.out, passwordFile: passwordPath });
  printLines(`address   ${address}`, `keystore  ${options.out}`, `password  ${passwordPath}`);
  talk('Keep both files safe and apart; without them the account is lost. Name them as keystore and passwordFile.');
}

async function choosePassword({ passwordFile, out }: NewAccountOptions) {
  const { existsSync, readFileSync } = await import('node:fs');
  const { randomBytes } = await import('node:crypto');
  const { assertPrivate } = await import('../../config/secrets.js');
  if (passwordFile === undefined) {
    return {
      path: `${out.replace(/\.json$/, '')}.password`,
      password: randomBytes(24).toString('base64url'),
      isNew: true,
    };
  }
  if (!existsSync(passwordFile)) {
    throw new AppError({ code: 'usage/no-password', path: passwordFile }, `There is no password file ${passwordFile}.`);
  }
  assertPrivate(passwordFile, 'The password file');
  const password = readFileSync(passwordFile, 'utf8').trim();
  if (password) return { path: passwordFile, password, isNew: false };
  throw new AppError({ code: 'usage/no-password', path: passwordFile }, `The password file ${passwordFile} is empty.`);
}
