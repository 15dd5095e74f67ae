/** Writes a configuration file that explains every setting. */
import { keysAt, listSettings, type Setting } from './describe';
import type { Role } from './schema';

const WIDTH = 100;

/**
 * Returns a role's configuration file with every setting explained. Given and required settings are set; the
 * others are comments with their defaults. A required setting without a value is left empty, which the loader
 * refuses with its explanation.
 */
export function renderConfig(role: Role, values: Readonly<Record<string, unknown>>): string {
  const settings = listSettings(role);
  const top = settings.filter((setting) => setting.path.length === 1);
  const blocks = top.map((setting) => renderSetting(setting, settings, values));
  return `{\n${blocks.join('\n')}}\n`;
}

/**
 * Returns the values of an example file: the schema's own examples, and a key file beside the configuration.
 */
export function exampleValues(role: Role): Record<string, unknown> {
  const required = listSettings(role).filter((setting) => setting.path.length === 1 && setting.isRequired);
  const shown = required.map((setting) => [setting.path[0], setting.example] as const);
  return { ...Object.fromEntries(shown), ...initialValues(role), ...keySettings(role, keyFilesOf(role)) };
}

/** Returns what a new file sets besides: a setting that only a storage has tells its file from others. */
export function initialValues(role: Role): Record<string, unknown> {
  return role === 'storage' ? { peers: [] } : {};
}

/** The files of an account: its encrypted key and the password, or the key itself. */
export type KeyFiles = { keystore: string; passwordFile: string } | { privateKeyFile: string };

/** Returns the names of an account's files beside the configuration of this name. */
export function keyFilesOf(name: string): { keystore: string; passwordFile: string } {
  return { keystore: `${name}.keystore.json`, passwordFile: `${name}.password` };
}

/** Returns the settings that name these files; none for a role without an account. */
export function keySettings(role: Role, files: KeyFiles): Partial<KeyFiles> {
  return keysAt(role, []).includes('privateKeyFile') ? files : {};
}

function renderSetting(setting: Setting, all: readonly Setting[], values: Readonly<Record<string, unknown>>): string {
  const key = setting.path[0] ?? '';
  const isSet = Object.hasOwn(values, key) || setting.isRequired;
  const value = values[key] ?? (setting.isRequired ? '' : (setting.default ?? setting.example));
  const comments = wrap(`${setting.description}`).map((line) => `  // ${line}\n`);
  if (isSet) return `${comments.join('')}  ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`;
  if (setting.isGroup) return `${comments.join('')}${renderGroup(setting, all)}`;
  return `${comments.join('')}  // ${JSON.stringify(key)}: ${JSON.stringify(value ?? placeholder(setting))},\n`;
}

function renderGroup(group: Setting, all: readonly Setting[]): string {
  const name = group.path[0] ?? '';
  const members = all.filter((setting) => setting.path.length === 2 && setting.path[0] === name);
  const lines = members.flatMap((member) => [
    ...wrap(member.description).map((line) => `  //   // ${line}`),
    `  //   ${JSON.stringify(member.path[1])}: ${JSON.stringify(member.default ?? member.example ?? placeholder(member))},`,
  ]);
  return [`  // ${JSON.stringify(name)}: {`, ...lines, '  // },', ''].join('\n');
}

function placeholder({ type, least = 1 }: Setting): unknown {
  return type === 'integer' || type === 'number' ? Math.max(1, least) : '';
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line && line.length + word.length >= WIDTH) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line];
}
