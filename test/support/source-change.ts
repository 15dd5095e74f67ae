/** Small changes of source text, kept as data: mistakes that the tests have to notice. */
import { z } from 'zod';

/** Source text; an array is text of several lines. */
export const SourceText = z
  .union([z.string(), z.array(z.string()).min(2)])
  .transform((text) => [text].flat().join('\n'));

export interface SourceChange {
  name: string;
  file: string;
  /** Occurs exactly once in the file. */
  find: string;
  replace: string;
}

/**
 * Returns the changed source.
 * @throws Error when what is to be changed is not there exactly once, or nothing changes.
 */
export function applyChange({ name, file, find, replace }: SourceChange, source: string): string {
  const parts = source.split(find);
  if (parts.length !== 2) {
    throw new Error(`${name}: its text occurs ${parts.length - 1} times in ${file}; it must occur once.`);
  }
  if (find === replace) throw new Error(`${name}: it changes nothing in ${file}.`);
  return parts.join(replace);
}
