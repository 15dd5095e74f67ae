/** The tables of one feature as one entry, and what the store derives from a list of entries. */
import type { Kysely, Migration } from 'kysely';
import type { Clock } from '../lib/clock';
import type { Claimant } from './claimant';
import type { ColumnTypes } from './column-types';

/**
 * A feature's tables: their names, how they are made, and the repositories that read and write them. The type
 * of the store, its migrations and what a reset drops follow from the list of groups.
 *
 * @typeParam T the tables as Kysely sees them; all of them must be named in `tables`
 */
export interface TableGroup<T extends object = object> {
  readonly tables: Readonly<Record<keyof T & string, true>>;
  /**
   * Named by number, unique in the whole store, and run in the order of their names. Never edited once
   * landed.
   */
  readonly migrations: Readonly<Record<string, MigrationStep>>;
  /**
   * Opens the repositories on a database or on a transaction; each becomes a member of the store. The
   * claimant is who writes of jobs.
   */
  open(db: Kysely<unknown>, clock: Clock, claimant?: Claimant | undefined): object;
}

/** The handle is untyped, as Kysely passes it: a migration sees the tables of the time it was written. */
export type MigrationStep = (db: Parameters<Migration['up']>[0], types: ColumnTypes) => Promise<void>;

/** The repositories of all groups, side by side. */
export type Repositories<G extends readonly TableGroup[]> = UnionToIntersection<ReturnType<G[number]['open']>>;

type UnionToIntersection<U> = (U extends unknown ? (member: U) => void : never) extends (
  all: infer I extends object,
) => void
  ? I
  : never;

/** Opens the repositories of all groups. */
export function openRepositories<G extends readonly TableGroup[]>(
  groups: G,
  db: Kysely<unknown>,
  clock: Clock,
  claimant?: Claimant | undefined,
): Repositories<G> {
  return mergeUnique(groups.map((group) => group.open(db, clock, claimant))) as Repositories<G>;
}

/** The migrations of all groups. Throws when two groups use one name. */
export function migrationsOf(groups: readonly TableGroup[]): Readonly<Record<string, MigrationStep>> {
  return mergeUnique(groups.map(({ migrations }) => migrations));
}

/** The names of all groups' tables. */
export function tablesOf(groups: readonly TableGroup[]): string[] {
  return groups.flatMap(({ tables }) => Object.keys(tables));
}

/** Throws when two groups claim one table. */
export function requireOwners(groups: readonly TableGroup[]): void {
  mergeUnique(groups.map(({ tables }) => tables));
}

function mergeUnique<T extends object>(parts: readonly T[]): T {
  const entries = parts.flatMap((part) => Object.entries(part));
  const names = entries.map(([name]) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`Two table groups use the name ${twice}; rename it in one of them.`);
  return Object.fromEntries(entries) as T;
}
