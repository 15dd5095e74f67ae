/** `emeth init`: writes a role's configuration, with a new account beside it. */
import { basename, dirname, join, relative } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { newAccount } from '../../chain/sending/wallet';
import { keysAt } from '../../config/describe';
import { parseSetting } from '../../config/env';
import type { Role } from '../../config/schema';
import { initialValues, type KeyFiles, keyFilesOf, keySettings, renderConfig } from '../../config/template';
import { AppError } from '../../lib/errors';
import { createFiles, requireAbsent } from '../../terminal/files';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';
import { makeKeystore } from './new-account';

export type InitError = { code: 'init/bad-setting'; setting: string };

interface InitOptions extends CommonOptions {
  set?: string[] | undefined;
  passwordFile?: string | undefined;
  plainKey?: boolean | undefined;
}

/** A new account: what its files are called, and those that are to be written. */
interface NewAccount {
  address: string;
  names: KeyFiles;
  files: { path: string; text: string }[];
}

export async function initRole(role: Role, options: InitOptions): Promise<void> {
  const path = options.config ?? join('config', `${role}.json`);
  const given = { ...initialValues(role), ...parseSettings(role, options.set ?? []) };
  if (!keysAt(role, []).includes('privateKeyFile')) {
    await createFiles([{ path, text: renderConfig(role, given) }]);
    return options.json ? printJson({ config: path }) : printLines(`config   ${path}`);
  }
  const { address, names, files } = await makeAccountBeside(path, options);
  const dir = dirname(path);
  const inConfig = Object.fromEntries(Object.entries(names).map(([key, file]) => [key, relative(dir, file)]));
  const text = renderConfig(role, { ...given, ...keySettings(role, inConfig as KeyFiles) });
  await createFiles([...files, { path, text }]);

  if (options.json) return printJson({ config: path, ...names, address });
  printLines(`config   ${path}`, ...Object.values(names).map((file) => `key      ${file}`), `address  ${address}`);
  talk(`Review ${path}${fundsOf(role, address)}.`);
}

/** A storage's account signs only; the others send transactions. */
function fundsOf(role: Role, address: string): string {
  if (role === 'storage') return '';
  return `, then fund ${address}: the chain's coin for gas${role === 'worker' ? '' : ', and EMT'}`;
}

/** Makes an account whose key is encrypted, unless the option says otherwise. */
async function makeAccountBeside(config: string, { passwordFile, plainKey }: InitOptions): Promise<NewAccount> {
  const base = join(dirname(config), basename(config, '.json'));
  if (plainKey) {
    const { address, privateKey } = await newAccount();
    const names = { privateKeyFile: `${base}.key` };
    return { address, names, files: [{ path: names.privateKeyFile, text: `${privateKey}\n` }] };
  }
  const names = keyFilesOf(base);
  requireAbsent([config, names.keystore, ...(passwordFile ? [] : [names.passwordFile])]);
  return makeKeystore({ keystore: names.keystore, newPasswordFile: names.passwordFile, passwordFile });
}

/**
 * Parses `key=value` texts into settings of their own types. Throws `init/bad-setting` for keys the role does
 * not have.
 */
function parseSettings(role: Role, texts: readonly string[]): Record<string, unknown> {
  const known = keysAt(role, []);
  const entries = texts.map((text) => {
    const [, key, value] = /^(\w+)=(.*)$/s.exec(text) ?? [];
    if (key === undefined || value === undefined) throw badSetting(text, 'write it as key=value');
    if (!known.includes(key)) throw badSetting(key, `did you mean ${closest(key, known)}?`);
    return [key, parseSetting(role, key, value)] as const;
  });
  return Object.fromEntries(entries);
}

function badSetting(setting: string, remedy: string): AppError<InitError> {
  return new AppError<InitError>({ code: 'init/bad-setting', setting }, `--set ${setting} cannot be used: ${remedy}`);
}
