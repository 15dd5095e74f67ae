/** How commands enter the command line: sorted by audience, each with one door to its work that opens when it runs. */
import type { Command } from 'commander';

/** Adds one command to the program: its name, options and examples, and nothing that takes time to load. */
export type Registration = (program: Command) => Command;

/** Whom commands are for, in the order of the help, with the heading they stand under. */
export const audiences = {
  requesters: 'For requesters:',
  gpuOwners: 'For GPU owners:',
  operators: 'For operators:',
  everybody: 'For everybody:',
} as const;
type Audience = keyof typeof audiences;

/** The commands about one subject, by audience. */
export type CommandTable = Partial<Record<Audience, readonly Registration[]>>;

/** Adds all commands, grouped by audience. */
export function addCommands(program: Command, tables: readonly CommandTable[]): void {
  for (const audience of Object.keys(audiences) as Audience[]) {
    program.commandsGroup(audiences[audience]);
    for (const register of tables.flatMap((table) => table[audience] ?? [])) register(program);
  }
}

/** The action of a command whose module is loaded when it runs, so that help and usage errors appear at once. */
export function lazily<A extends unknown[]>(
  load: () => Promise<(...args: A) => Promise<void>>,
): (...args: A) => Promise<void> {
  return async (...args) => (await load())(...args);
}
