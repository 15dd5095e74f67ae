/** The planted bugs: each a mistake that somebody could make, and the test that notices it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type SourceChange, SourceText } from '../support/source-change';

const PlantedBug = z.strictObject({
  /** What goes wrong; unique. */
  name: z.string().min(1),
  /** Below the project's root. */
  file: z.string(),
  find: SourceText,
  replace: SourceText,
  /** The file of the test that has to fail, and the end of its name. */
  test: z.string(),
  testName: z.string().min(1),
}) satisfies z.ZodType<SourceChange>;
export type PlantedBug = z.infer<typeof PlantedBug>;

export const plantedBugs: readonly PlantedBug[] = z
  .array(PlantedBug)
  .parse(JSON.parse(readFileSync(join(__dirname, 'bugs.json'), 'utf8')));
