/** `emeth init`: writes a role's configuration, with a new key beside it. */
import { basename, dirname, join } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { newAccount } from '../../chain/sending/wallet';
import { keysAt } from '../../config/describe';
import { parseSetting } from '../../config/env';
import type { Role } from '../../config/schema';
import { initialValues, keyFileOf, renderConfig } from '../../config/template';
import { AppError } from '../../lib/errors';
import { createFiles } from '../../terminal/files';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';

export type InitError = { code: 'init/bad-setting'; setting: string };

interface InitOptions extends CommonOptions {
  set?: string[] | undefined;
}

export async function initRole(role: Role, options: InitOptions): Promise<void> {
  const path = options.config ?? join('config', `${role}.json`);
  const keyPath = join(dirname(path), `${basename(path, '.json')}.key`);
  const known = parseSettings(role, options.set ?? []);
  const keyFile = keyFileOf(role, basename(keyPath));
  const text = renderConfig(role, { ...initialValues(role), ...known, ...keyFile });
  if (!keyFile.privateKeyFile) {
    await createFiles([{ path, text }]);
    return options.json ? printJson({ config: path }) : printLines(`config   ${path}`);
  }

  const { address, privateKey } = await newAccount();
  await createFiles([
    { path: keyPath, text: `${privateKey}\n` },
    { path, text },
  ]);

  if (options.json) return printJson({ config: path, key: keyPath, address });
  printLines(`config   ${path}`, `key      ${keyPath}`, `address  ${address}`);
  talk(`Review ${path}${fundsOf(role, address)}.`);
}

/** A storage's account signs only; the others send transactions. */
function fundsOf(role: Role, address: string): string {
  if (role === 'storage') return '';
  return `, then fund ${address}: the chain's coin for gas${role === 'worker' ? '' : ', and EMT'}`;
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
