/** Lists the settings of a role from its schema, for examples, reference, variables and error messages. */
import { z } from 'zod';
import { type Role, roleSchemas } from './schema';

/** A setting as people see it; nested settings follow their parent in the list. */
export interface Setting {
  /** Keys from the top, e.g. `['external_db', 'port']`. */
  path: readonly string[];
  description: string;
  /** Human-readable type: `string`, `integer`, `"1v1" | "nvm"`. */
  type: string;
  isRequired: boolean;
  isSecret: boolean;
  /** Undefined without a default. */
  default: unknown;
  /** A value that fits, for settings without a default. */
  example: unknown;
  /** Of numbers; undefined without a bound. */
  least: number | undefined;
  /** Whether it has settings of its own, which are in the list as well. */
  isGroup: boolean;
}

interface JsonSchema {
  type?: string | undefined;
  description?: string | undefined;
  default?: unknown;
  examples?: unknown[] | undefined;
  enum?: unknown[] | undefined;
  minimum?: number | undefined;
  anyOf?: JsonSchema[] | undefined;
  items?: JsonSchema | undefined;
  properties?: Record<string, JsonSchema> | undefined;
  required?: string[] | undefined;
}

const SECRET_KEYS = new Set(['privateKey', 'password']);
const cache = new Map<Role, Setting[]>();

/** Returns every setting of a role, in the schema's order. */
export function listSettings(role: Role): readonly Setting[] {
  const known = cache.get(role);
  if (known) return known;
  const settings = walk(inputSchema(role), []);
  cache.set(role, settings);
  return settings;
}

/** Finds the setting at a path. Numeric steps, which are places in a list, are ignored. */
export function findSetting(role: Role, path: readonly PropertyKey[]): Setting | undefined {
  const name = path.filter((step) => typeof step === 'string').join('.');
  return listSettings(role).find((setting) => setting.path.join('.') === name);
}

/** Returns the keys allowed at a place: at the role's top level, or in one of its groups. */
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
      least: member.minimum,
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
