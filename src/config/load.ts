/** Reads a role's configuration: defaults, then the file, then the environment; checked as a whole. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type ParseError, parse, printParseErrorCode } from 'jsonc-parser';
import { decodeText } from '../lib/decode-text';
import { AppError } from '../lib/errors';
import { keysAt } from './describe';
import { applyVariables } from './env';
import { type ConfigError, invalidConfig, nameVariables, otherRoleOf, type Problem, toProblems } from './problems';
import { type Role, type RoleConfig, roleSchemas } from './schema';
import { assertPrivate } from './secrets';

export interface LoadOptions {
  /** The file. A missing one is an error only if `isRequired`. */
  path: string;
  isRequired: boolean;
  env: NodeJS.ProcessEnv;
}

/** Roles that need few settings and take them from any role's file. */
const READ_ANY_FILE: readonly Role[] = ['client', 'board'];
const PATH_KEYS = [
  'privateKeyFile',
  'keystore',
  'passwordFile',
  'caFile',
  'certFile',
  'keyFile',
  'secretAccessKeyFile',
  'tokenFile',
];
/** Groups of settings with paths in them. */
const NESTED_PATHS = ['external_db', 'listen', 's3', 'hub'];

/**
 * Returns a role's settings: defaults, then the file (JSON, comments allowed), then the environment; checked,
 * deeply frozen. File paths in it are relative to the file. Throws `config/…` with everything that is wrong.
 */
export function loadConfig<R extends Role>(role: R, options: LoadOptions): RoleConfig<R> {
  const { path, env } = options;
  const file = existsSync(path) ? readFile(path) : undefined;
  if (!file && options.isRequired) throw missing(role, path);
  if (file && holdsSecret(file)) assertPrivate(path, 'The configuration holds a secret, and');

  const own = READ_ANY_FILE.includes(role) ? dropForeignKeys(role, file ?? {}) : (file ?? {});
  const { raw: written, problems, variables } = applyVariables(role, own, env);
  const network = ownKeys(role, readNetwork(written.network, dirname(resolve(path))));
  const raw = { ...network, ...withoutEmpty(written, network) };
  const parsed = roleSchemas[role].safeParse(raw);
  const issues = nameVariables(parsed.success ? [] : toProblems(role, parsed.error.issues, raw), variables);
  const all = [...problems, ...issues];
  if (!parsed.success && !file && problems.length === 0 && !hasVariables(env)) throw missing(role, path);
  if (all.length > 0 || !parsed.success) throw invalidConfig(sourceOf(issues, file && path), all);
  return freeze(resolvePaths(parsed.data, dirname(resolve(path)))) as RoleConfig<R>;
}

/** Names the place to correct: the file, unless all problems came from variables. */
function sourceOf(issues: readonly Problem[], file: string | undefined): string {
  return file !== undefined && issues.some(({ variable }) => variable === undefined) ? file : 'the environment';
}

function readFile(path: string): Record<string, unknown> {
  const text = readText(path);
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first) throw syntaxError(path, text, first);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalidConfig(path, [
    { path: '(whole file)', message: 'must be one JSON object', remedy: 'Put { } around the settings.' },
  ]);
}

/** Reads a deployment's file; nothing without a name. Settings left empty take its values. */
function readNetwork(name: unknown, dir: string): Record<string, unknown> {
  if (typeof name !== 'string' || !/^[\w-]+$/.test(name)) return {};
  const path = join(dir, 'networks', `${name}.json`);
  if (existsSync(path)) return readFile(path);
  throw new AppError<ConfigError>(
    { code: 'config/missing', path },
    `There is no deployment ${path}; \`emeth deploy --network ${name}\` writes it, or correct \`network\`.`,
  );
}

/**
 * Leaves out what a role has no setting for: a deployment's file also records, for people, e.g. the registry.
 */
function ownKeys(role: Role, network: Record<string, unknown>): Record<string, unknown> {
  const own = keysAt(role, []);
  return Object.fromEntries(Object.entries(network).filter(([key]) => own.includes(key)));
}

function withoutEmpty(settings: Record<string, unknown>, network: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([key, value]) => value !== '' || !(key in network)));
}

function readText(path: string): string {
  const { text, problem } = decodeText(readBytes(path));
  if (text !== undefined) return text;
  throw new AppError<ConfigError>({ code: 'config/not-text', path }, `${path} cannot be used: ${problem}.`);
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new AppError<ConfigError>(
      { code: 'config/unreadable', path },
      `${path} cannot be read; check its permissions.`,
      {
        cause,
      },
    );
  }
}

function syntaxError(path: string, text: string, error: ParseError): AppError<ConfigError> {
  const before = text.slice(0, error.offset).split('\n');
  const line = before.length;
  const column = (before.at(-1) ?? '').length + 1;
  const what = printParseErrorCode(error.error)
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase();
  return new AppError<ConfigError>(
    { code: 'config/syntax', path, line, column },
    `${path} is not valid JSON at line ${line}, column ${column}: ${what}.`,
  );
}

function missing(role: Role, path: string): AppError<ConfigError> {
  return new AppError<ConfigError>(
    { code: 'config/missing', path },
    `There is no configuration at ${path}; write one with \`emeth init ${role}\` or name yours with --config.`,
  );
}

function holdsSecret(file: Record<string, unknown>): boolean {
  const database = file.external_db as { password?: unknown } | undefined;
  return Boolean(file.privateKey) || Boolean(database?.password);
}

/** Returns whose configuration a file is, by its keys; a requester's when they do not decide. */
export function roleOfFile(path: string): Role {
  const file = existsSync(path) ? readFile(path) : {};
  if (file.master_node_url !== undefined) return 'worker';
  if (Object.keys(file).some((key) => isOwn('storage', key))) return 'storage';
  // A board's file has only a board's settings; a master's has at least a key as well.
  const isBoard = Object.keys(file).every((key) => keysAt('board', []).includes(key));
  if (file.my_url !== undefined) return isBoard ? 'board' : 'master';
  return file.tolerance === undefined ? 'client' : 'verifier';
}

/** Whether no other role has the setting. */
function isOwn(role: Role, key: string): boolean {
  return keysAt(role, []).includes(key) && otherRoleOf(role, key) === undefined;
}

/**
 * Leaves out what the role does not need: requesters' commands and the board read any role's file. A
 * requester that uses a master's or a worker's file uses that master's storage by default.
 */
function dropForeignKeys(role: Role, file: Record<string, unknown>): Record<string, unknown> {
  const own = keysAt(role, []);
  const entries = Object.entries(file).filter(([key]) => own.includes(key) || otherRoleOf(role, key) === undefined);
  if (role !== 'client') return Object.fromEntries(entries);
  const master = file.master_node_url ?? file.my_url;
  const storageApi = typeof master === 'string' ? { storageApi: `${master.replace(/\/$/, '')}/api/v1` } : {};
  return { ...storageApi, ...Object.fromEntries(entries) };
}

function hasVariables(env: NodeJS.ProcessEnv): boolean {
  return Object.keys(env).some((name) => name.startsWith('EMETH__'));
}

function resolvePaths(config: object, base: string): object {
  const entries = Object.entries(config).map(([key, value]) => {
    if (PATH_KEYS.includes(key) && typeof value === 'string') return [key, resolve(base, value)];
    return [key, NESTED_PATHS.includes(key) && value ? resolvePaths(value as object, base) : value];
  });
  return Object.fromEntries(entries);
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) freeze(member);
    Object.freeze(value);
  }
  return value;
}
