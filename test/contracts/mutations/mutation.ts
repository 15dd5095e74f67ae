/**
 * The mutations of the contracts, read from `data/`: one file for each contract, checked when it is loaded.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { SourceText } from '../../support/source-change';
import { type Reason, reasons } from './reasons';

const Sentence = z.string().min(1);

const Change = z.strictObject({
  /** What goes wrong; unique in its contract. */
  name: Sentence,
  /** Occurs exactly once in the contract. */
  find: SourceText,
  replace: SourceText,
  /** The damage, and to whom, if no test noticed it. */
  why: Sentence,
  /** Why no test can tell it from the original. Such a mutation is tried and shown, and not counted. */
  equivalent: Sentence.optional(),
  /** No unit test covers it, so the invariants have to notice it, drawn or not. */
  leftToInvariants: z.literal(true).optional(),
  /** Why it is accepted that no test notices it, though one could. */
  unnoticed: Sentence.optional(),
  /** Why the invariants alone do not notice it. */
  missedByInvariants: z.enum(Object.keys(reasons) as [Reason, ...Reason[]]).optional(),
});

/**
 * One small mistake that somebody could make in a contract. The tests are good if none of these goes
 * unnoticed.
 */
export interface Mutation extends z.infer<typeof Change> {
  /** `<Contract>/<what goes wrong>`, unique. */
  name: string;
  /** Below src/contracts. */
  file: string;
}

/**
 * Returns the mutations of one file of `data/`, in their order.
 * @throws ZodError when the file is not a list of mutations.
 */
export function parseMutations(contract: string, text: string): Mutation[] {
  const changes = z.array(Change).min(1).parse(JSON.parse(text));
  return changes.map((change) => ({ ...change, name: `${contract}/${change.name}`, file: `${contract}.sol` }));
}

const dataDir = join(__dirname, 'data');

/** All of them, by contract. */
export const mutations: readonly Mutation[] = readdirSync(dataDir)
  .sort()
  .flatMap((file) => parseMutations(basename(file, '.json'), readFileSync(join(dataDir, file), 'utf8')));
