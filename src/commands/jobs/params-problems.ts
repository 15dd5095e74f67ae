/** What is wrong with the parameters of a request, in words, with the key that was probably meant. */
import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { listParams } from '../../protocol/params-list';

/** Describes zod's issues with parameters, one phrase each. */
export function describeIssues(issues: readonly z.core.$ZodIssue[]): string[] {
  return issues.flatMap((issue) => {
    const where = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...where, key]));
    return [`${where.join('.') || 'params'}: ${issue.message.replace(/^Invalid input: /, '')}`];
  });
}

/** Of which jobs a parameter is that is not of all. */
const ONLY: Readonly<Record<string, string>> = {
  none: 'is for models from scratch; the files of a base say it themselves',
  lora: 'goes with "tune": "lora" only',
  'full,lora': 'goes with a base only ("tune": "full" or "lora")',
};

function unknownKey(path: readonly string[]): string {
  const written = path.join('.');
  const elsewhere = listParams().find((param) => param.path === written);
  // Known, but not in such a job.
  if (elsewhere) return `${written} ${ONLY[elsewhere.kinds.join()] ?? 'does not go with the rest'}; leave it out`;
  const known = listParams().map((param) => param.path);
  const key = path.at(-1) ?? '';
  // The right word in the wrong group is the likelier mistake; next comes a slip in the whole path.
  const moved = known.find((other) => other.split('.').at(-1) === key);
  const nearest = moved ?? closest(written, known);
  const isNear = moved !== undefined || distance(written, nearest) <= Math.max(2, written.length / 3);
  return `${written} is not a parameter${isNear ? `; did you mean ${nearest}?` : ''}`;
}
