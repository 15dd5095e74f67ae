/** One small mistake that somebody could make in a contract. The tests are good if none of these goes unnoticed. */
export interface Mutation {
  /** `<Contract>/<what goes wrong>`, unique. */
  name: string;
  /** Below src/contracts. */
  file: string;
  /** Occurs exactly once in the file. */
  find: string;
  replace: string;
  /** What would happen to whom, if it went unnoticed. */
  why: string;
  /** Why no test can tell it from the original. Such a mutation is tried and shown, and not counted. */
  equivalent?: string | undefined;
  /** No unit test says it, so it is left to the invariants, drawn or not. */
  leftToInvariants?: true | undefined;
  /** Why it is left that no test notices it, though one could. */
  unnoticed?: string | undefined;
}

type Change = Omit<Mutation, 'name' | 'file'>;

/** The mutations of one contract, by what goes wrong. */
export const mutationsOf = (contract: string, changes: Record<string, Change>): Mutation[] =>
  Object.entries(changes).map(([name, change]) => ({
    name: `${contract}/${name}`,
    file: `${contract}.sol`,
    ...change,
  }));

/**
 * The mutated source.
 * @throws Error when what the mutation changes is not there exactly once, or nothing changes.
 */
export function applyMutation({ name, file, find, replace }: Mutation, source: string): string {
  const parts = source.split(find);
  if (parts.length !== 2) {
    throw new Error(`${name}: what it changes occurs ${parts.length - 1} times in ${file}; it has to occur once.`);
  }
  if (find === replace) throw new Error(`${name}: it changes nothing in ${file}.`);
  return parts.join(replace);
}
