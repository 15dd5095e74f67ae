/** The scores of the unit tests, of the invariants, and of both together. */
import { createHash } from 'node:crypto';
import { type Mutation, mutations } from './mutation';
import type { Phase } from './workshop';

export interface Result {
  mutation: Mutation;
  phase: Phase;
  /** `invalid`: it does not compile and must be rewritten. */
  outcome: 'killed' | 'survived' | 'invalid';
  /** The tests that failed. */
  by: string[];
}

export interface Summary {
  killed: number;
  /** Mutations that a test could notice. */
  counted: number;
  score: number;
  all: Mutation[];
  survivors: Mutation[];
  equivalents: Mutation[];
  /** Mistakes in the list itself. */
  wrong: string[];
}

export const phases: readonly Phase[] = ['unit', 'invariants'];

/** The least share of the mutations that the tests must notice. */
export const gate = 0.95;

/**
 * The files that hold a job's states and its money, from the request to the last withdrawal: the subject of
 * the invariants.
 */
export const invariantFiles: readonly string[] = [
  'EmethCore.sol',
  'JobBook.sol',
  'Verdicts.sol',
  'Payroll.sol',
  'PayoutTree.sol',
  'SlotBook.sol',
  'CreditBook.sol',
  'Account.sol',
  'ExactTransfer.sol',
];

/**
 * All of them would take hours. A name's hash decides, so nobody chooses, and adding a mutation changes no
 * other's turn.
 */
const isDrawn = (name: string) => (createHash('sha256').update(name).digest()[0] ?? 0) % 3 === 0;

/** Whether a phase must try a mutation. */
export const isFor = (phase: Phase, { file, name, leftToInvariants }: Mutation): boolean =>
  phase === 'unit' || leftToInvariants === true || (invariantFiles.includes(file) && isDrawn(name));

/** Two mutations with one key make the same mistake. */
export const keyOf = ({ file, find, replace }: Mutation): string => JSON.stringify([file, find, replace]);

/** Whether both phases have tried every mutation they must. */
export function isComplete(results: readonly Result[]): boolean {
  const known = new Set(results.map(({ phase, mutation }) => `${phase} ${mutation.name}`));
  return phases.every((phase) => mutations.every((each) => !isFor(phase, each) || known.has(`${phase} ${each.name}`)));
}

/** A mutation counts as noticed when any of the results says so. */
export function summarise(results: readonly Result[]): Summary {
  const all = [...new Set(results.map(({ mutation }) => mutation))];
  const noticed = new Set(results.filter(({ outcome }) => outcome === 'killed').map(({ mutation }) => mutation));
  const invalid = new Set(results.filter(({ outcome }) => outcome === 'invalid').map(({ mutation }) => mutation));
  const counted = all.filter((mutation) => !mutation.equivalent && !invalid.has(mutation));
  const survivors = counted.filter((mutation) => !noticed.has(mutation));
  const killed = counted.length - survivors.length;
  const notEquivalent = all.filter((mutation) => mutation.equivalent && noticed.has(mutation));
  return {
    all,
    killed,
    counted: counted.length,
    score: counted.length === 0 ? 0 : killed / counted.length,
    survivors,
    equivalents: all.filter(({ equivalent }) => equivalent),
    wrong: [
      ...[...invalid].map(({ name }) => `${name} does not compile`),
      ...notEquivalent.map(({ name }) => `${name} is not equivalent: a test notices it`),
    ],
  };
}
