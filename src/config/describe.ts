import { z } from 'zod';
import { type Role, roleSchemas } from './schema';

/** One setting as people see it; nested settings follow their parent in the list. */
export interface Setting {
  /** Keys from the top, e.g. `['external_db', 'port']`. */
  path: readonly string[];
  description: string;
  /** Human-readable type: `string`, `integer`, `"1v1" | "nvm"`. */
  type: string;
  isRequired: boolean;
  isSecret: boolean;
  /** Undefined when there is none. */
  default: unknown;
  /** A value that fits, for settings without a default. */
  example: unknown;
  /** Its settings stand in the list as well. */
  isGroup: boolean;
}

interface JsonSchema {
  type?: string | undefined;
  description?: string | undefined;
  default?: unknown;
  examples?: unknown[] | undefined;
  enum?: unknown[] | undefined;
  anyOf?: JsonSchema[] | undefined;
  items?: JsonSchema | undefined;
  properties?: Record<string, JsonSchema> | undefined;
  required?: string[] | undefined;
}

const SECRET_KEYS = new Set(['privateKey', 'password']);
const cache = new Map<Role, Setting[]>();

/** Every setting of a role, in the schema's order. */
export function listSettings(role: Role): readonly Setting[] {
  const known = cache.get(role);
  if (known) return known;
  const settings = walk(inputSchema(role), []);
  cache.set(role, settings);
  return settings;
}

/** The setting at a path, whose numeric steps (places in a list) are left out. */
export function findSetting(role: Role, path: readonly PropertyKey[]): Setting | undefined {
  const name = path.filter((step) => typeof step === 'string').join('.');
  return listSettings(role).find((setting) => setting.path.join('.') === name);
}

/** The keys that may stand at a place: of the role's top level, or of one of its groups. */
export function keysAt(role: Role, path: readonly PropertyKey[]): string[] {
  const prefix = path.map((step) => `${String(step)}.`).join('');
  return listSettings(role)
    .map((setting) => setting.path.join('.'))
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter((name) => !name.includes('.'));
}

export function isSecretKey(key: PropertyKey | undefined): boolean {
  return typeof key === 'string' && SECRET_KEYS.has(key);
}

function inputSchema(role: Role): JsonSchema {
  return z.toJSONSchema(roleSchemas[role], { io: 'input', unrepresentable: 'any' }) as JsonSchema;
}

function walk(schema: JsonSchema, parent: readonly string[]): Setting[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, member]) => {
    const path = [...parent, key];
    const setting: Setting = {
      path,
      description: member.description ?? '',
      type: typeName(member),
      isRequired: schema.required?.includes(key) ?? false,
      isSecret: isSecretKey(key),
      default: member.default,
      example: member.examples?.[0],
      isGroup: member.properties !== undefined,
    };
    return [setting, ...walk(member, path)];
  });
}

function typeName(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.anyOf) return schema.anyOf.map(typeName).join(' | ');
  if (schema.type === 'array') return `list of ${schema.items ? typeName(schema.items) : 'anything'}`;
  if (schema.type === 'object') return 'group';
  return schema.type ?? 'anything';
}
