/** What is wrong with a configuration, in sentences that say how to correct it. */
import { closest } from 'fastest-levenshtein';
import type { z } from 'zod';
import { AppError } from '../lib/errors';
import { findSetting, isSecretKey, keysAt } from './describe';
import { type Role, roleSchemas } from './schema';

/** One mistake in a configuration. */
export interface Problem {
  /** Dotted path of the key, or the environment variable's name. */
  path: string;
  /** The variable the value came from; undefined where it came from the file. */
  variable?: string | undefined;
  message: string;
  /** The value as written, secrets replaced; undefined without a value. */
  value?: string | undefined;
  remedy?: string | undefined;
}

export type ConfigError =
  | { code: 'config/missing'; path: string }
  | { code: 'config/syntax'; path: string; line: number; column: number }
  | { code: 'config/invalid'; source: string; problems: readonly Problem[] }
  | { code: 'config/exposed-secret'; path: string; mode: string }
  | { code: 'config/unreadable'; path: string }
  | { code: 'config/not-text'; path: string };

/** Reports all problems at once, so that nobody corrects a configuration one run at a time. */
export function invalidConfig(source: string, problems: readonly Problem[]): AppError<ConfigError> {
  const count = problems.length === 1 ? 'One setting' : `${problems.length} settings`;
  const lines = problems.map((problem) => `\n  ${formatProblem(problem)}`).join('');
  return new AppError<ConfigError>(
    { code: 'config/invalid', source, problems },
    `${count} of ${source} must be corrected:${lines}`,
  );
}

/**
 * Translates zod's issues: which key, which value, what to do. Keeps the first issue of each setting; later
 * ones mostly follow from it.
 */
export function toProblems(role: Role, issues: readonly z.core.$ZodIssue[], input: unknown): Problem[] {
  const problems = issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(role, issue.path, key));
    return [toProblem(role, issue, input)];
  });
  return problems.filter(({ path }, index) => problems.findIndex((other) => other.path === path) === index);
}

/**
 * Adds to every problem the variable its value came from, if any. `variables`: dotted path of the setting →
 * name.
 */
export function nameVariables(problems: readonly Problem[], variables: ReadonlyMap<string, string>): Problem[] {
  return problems.map((problem) => ({ ...problem, variable: variableBehind(problem.path, variables) }));
}

/** Finds the variable that a setting, or the group it is in, came from. */
function variableBehind(path: string, variables: ReadonlyMap<string, string>): string | undefined {
  const keys = path.split('.');
  const paths = keys.map((_key, index) => keys.slice(0, keys.length - index).join('.'));
  return paths.map((each) => variables.get(each)).find((name) => name !== undefined);
}

/** Describes an unknown key, with the nearest known one. */
export function unknownKey(role: Role, parent: readonly PropertyKey[], key: string): Problem {
  const path = [...parent, key].map(String).join('.');
  const home = parent.length === 0 ? otherRoleOf(role, key) : undefined;
  if (home) return { path, message: `belongs to the ${home}'s configuration`, remedy: 'remove it here' };
  const nearest = closest(key, keysAt(role, parent));
  return { path, message: 'is not a setting', remedy: `did you mean ${nearest}?` };
}

/** Finds another role that has the setting. */
export function otherRoleOf(role: Role, key: string): Role | undefined {
  const roles = Object.keys(roleSchemas) as Role[];
  return roles.find((other) => other !== role && other !== 'client' && keysAt(other, []).includes(key));
}

function toProblem(role: Role, issue: z.core.$ZodIssue, input: unknown): Problem {
  const value = valueAt(input, issue.path);
  const isMissing = value === undefined && (issue.code === 'invalid_type' || issue.code === 'invalid_union');
  return {
    path: issue.path.map(String).join('.'),
    message: isMissing ? 'is missing' : messageOf(issue),
    value: showValue(role, issue.path, value),
    remedy: findSetting(role, issue.path)?.description,
  };
}

function messageOf(issue: z.core.$ZodIssue): string {
  // All branches of a union give the same custom message: what a well-formed entry looks like.
  if (issue.code === 'invalid_union') {
    const own = issue.errors.flat().find((branch) => branch.code === 'custom');
    return own?.message ?? 'has the wrong type';
  }
  return issue.message.replace(/^Invalid input: /, '');
}

function showValue(role: Role, path: readonly PropertyKey[], value: unknown): string | undefined {
  if (value === undefined) return undefined;
  // A group that is written as one text, e.g. in an environment variable, may hold the secret of one of its
  // settings.
  const mayHold = typeof value === 'string' && keysAt(role, path).some(isSecretKey);
  if (isSecretKey(path.at(-1)) || mayHold) return '[redacted]';
  const text = JSON.stringify(value, (member, inner: unknown) => (isSecretKey(member) ? '[redacted]' : inner));
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, step) => (value as Record<PropertyKey, unknown> | undefined)?.[step], input);
}

function formatProblem({ path, variable, message, value, remedy }: Problem): string {
  const where = variable === undefined ? path : `${variable} (${path})`;
  const found = value === undefined ? '' : ` (found ${value})`;
  return `${where}: ${message}${found}${remedy ? `. ${remedy}` : ''}`;
}
