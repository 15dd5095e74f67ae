import { Argument, type Command } from 'commander';
import type { Role } from '../../config/schema';
import { AppError } from '../../lib/errors';
import { type CommonOptions, example } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';

export type InitError = { code: 'init/bad-setting'; setting: string };

interface InitOptions extends CommonOptions {
  set?: Record<string, unknown> | undefined;
}

export function registerInit(program: Command): void {
  program
    .command('init')
    .description('write a configuration with every setting explained, and a new key beside it (a board needs none)')
    .addArgument(
      new Argument('<role>', 'what to configure').choices(['master', 'worker', 'verifier', 'client', 'board']),
    )
    .option('--set <key=value>', 'give a setting its value (repeatable)', collectSetting)
    .addHelpText('after', example('emeth init master --set my_url=https://master.example.org'))
    .action(init);
}

async function init(role: Role, options: InitOptions): Promise<void> {
  const { basename, dirname, join } = await import('node:path');
  const { keyFileOf, renderConfig } = await import('../../config/template.js');
  const { createFiles } = await import('../../terminal/files.js');
  const { newAccount } = await import('../../chain/sending/wallet.js');

  const path = options.config ?? join('config', `${role}.json`);
  const keyPath = join(dirname(path), `${basename(path, '.json')}.key`);
  const known = await checkSettings(role, options.set ?? {});
  const keyFile = keyFileOf(role, basename(keyPath));
  const text = renderConfig(role, { ...known, ...keyFile });
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
  talk(`Look through ${path}, then fund ${address}: the chain's coin for gas${role === 'worker' ? '' : ', and EMT'}.`);
}

function collectSetting(text: string, settings: Record<string, unknown> = {}): Record<string, unknown> {
  const [, key, value] = /^(\w+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    throw badSetting(text, 'write it as key=value');
  }
  return { ...settings, [key]: value };
}

/** The given settings in their own types. Throws for keys the role does not have. */
async function checkSettings(role: Role, given: Record<string, unknown>): Promise<Record<string, unknown>> {
  const { keysAt } = await import('../../config/describe.js');
  const { parseSetting } = await import('../../config/env.js');
  const { closest } = await import('fastest-levenshtein');
  const known = keysAt(role, []);
  const entries = Object.entries(given).map(([key, value]) => {
    if (!known.includes(key)) throw badSetting(key, `did you mean ${closest(key, known)}?`);
    return [key, parseSetting(role, key, String(value))] as const;
  });
  return Object.fromEntries(entries);
}

function badSetting(setting: string, remedy: string): AppError<InitError> {
  return new AppError<InitError>({ code: 'init/bad-setting', setting }, `--set ${setting} cannot be used: ${remedy}`);
}
