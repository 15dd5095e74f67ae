/** Settings from environment variables. */
import { closest } from 'fastest-levenshtein';
import { listSettings, type Setting } from './describe';
import type { Problem } from './problems';
import { type Role, roleSchemas } from './schema';

const PREFIX = 'EMETH__';

/** Returns the variable that overrides a setting: `external_db.host` → `EMETH__EXTERNAL_DB__HOST`. */
export function variableOf(path: readonly string[]): string {
  const words = path.map((key) => key.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase());
  return `${PREFIX}${words.join('__')}`;
}

/**
 * Overrides a file's settings with the `EMETH__…` variables. Case and single underscores do not matter. A
 * variable that only another role has is ignored, since one environment may serve several roles; one that no
 * role has is a problem. `variables` tells which variable gave which setting (by its dotted path).
 */
export function applyVariables(
  role: Role,
  raw: Record<string, unknown>,
  env: NodeJS.ProcessEnv,
): { raw: Record<string, unknown>; problems: Problem[]; variables: ReadonlyMap<string, string> } {
  const result = structuredClone(raw);
  const problems: Problem[] = [];
  const variables = new Map<string, string>();
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || text === undefined) continue;
    const setting = find(role, name);
    if (setting) {
      assign(result, setting.path, parseText(setting, text));
      variables.set(setting.path.join('.'), name);
    } else if (!isKnownElsewhere(name)) problems.push(unknownVariable(role, name));
  }
  return { raw: result, problems, variables };
}

/** Parses the value of a top-level setting. */
export function parseSetting(role: Role, key: string, text: string): unknown {
  const setting = listSettings(role).find(({ path }) => path.length === 1 && path[0] === key);
  return setting ? parseText(setting, text) : text;
}

function find(role: Role, name: string): Setting | undefined {
  return listSettings(role).find((setting) => normalise(variableOf(setting.path)) === normalise(name));
}

function isKnownElsewhere(name: string): boolean {
  return (Object.keys(roleSchemas) as Role[]).some((role) => find(role, name) !== undefined);
}

function unknownVariable(role: Role, name: string): Problem {
  const names = listSettings(role).map((setting) => variableOf(setting.path));
  return { path: name, message: 'names no setting', remedy: `Did you mean ${closest(name, names)}?` };
}

// `__` separates levels; within a level only letters and digits count.
function normalise(name: string): string {
  return name
    .slice(PREFIX.length)
    .split('__')
    .map((word) => word.replaceAll('_', '').toLowerCase())
    .join('.');
}

/** Converts text to the setting's own type; text that does not fit is left for the schema to refuse. */
function parseText(setting: Setting, text: string): unknown {
  if (setting.type === 'integer' || setting.type === 'number') return toNumber(text);
  if (setting.isGroup) return parseJson(text);
  // Empty text stays text: it leaves the setting to its default or to the network.
  if (setting.type.includes('list of') && text.trim() !== '') return text.split(',').map((entry) => entry.trim());
  return text;
}

function toNumber(text: string): number | string {
  return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function assign(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path;
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const inner = target[key];
  const group = typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : {};
  target[key] = group;
  assign(group, rest, value);
}
