/** What is wrong with the parameters of a request, in words, with the key that was probably meant. */
import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { JobParams } from '../../protocol/job-params';

/** Describes zod's issues with parameters, one phrase each. */
export function describeIssues(issues: readonly z.core.$ZodIssue[]): string[] {
  return issues.flatMap((issue) => {
    const where = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...where, key]));
    return [`${where.join('.') || 'params'}: ${issue.message.replace(/^Invalid input: /, '')}`];
  });
}

function unknownKey(path: readonly string[]): string {
  const known = knownPaths(z.toJSONSchema(JobParams, { io: 'input' }));
  const written = path.join('.');
  const key = path.at(-1) ?? '';
  // The right word in the wrong group is the likelier mistake; next comes a slip in the whole path.
  const moved = known.find((other) => other.split('.').at(-1) === key);
  const nearest = moved ?? closest(written, known);
  const isNear = moved !== undefined || distance(written, nearest) <= Math.max(2, written.length / 3);
  return `${written} is not a parameter${isNear ? `; did you mean ${nearest}?` : ''}`;
}

/** The part of a JSON schema that tells which keys there are. */
interface Keys {
  properties?: Record<string, unknown>;
  oneOf?: unknown[];
}

function knownPaths(schema: unknown, prefix = ''): string[] {
  const { properties = {}, oneOf = [] } = schema as Keys;
  const own = Object.entries(properties).flatMap(([key, inner]) => [
    `${prefix}${key}`,
    ...knownPaths(inner, `${prefix}${key}.`),
  ]);
  return [...own, ...oneOf.flatMap((branch) => knownPaths(branch, prefix))];
}
