/** How commands enter the program: by audience, each with a door to its work that opens when it runs. */
import type { Command } from 'commander';

/** Adds one command to the program: its name, options and examples, and nothing that takes time to load. */
export type Registration = (program: Command) => Command;

/** The audiences of commands in the order of the help, with their headings. */
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

/** Returns an action whose module is loaded when the command runs, so that help appears at once. */
export function lazily<A extends unknown[]>(
  load: () => Promise<(...args: A) => Promise<void>>,
): (...args: A) => Promise<void> {
  return async (...args) => (await load())(...args);
}
