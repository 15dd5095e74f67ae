#!/usr/bin/env node
/** The command line: puts all commands together, runs one, and ends with its exit status. */
import { Command } from 'commander';
import { jobCommands } from './commands/jobs/job-commands';
import { modelCommands } from './commands/models/model-commands';
import { moneyCommands } from './commands/money/money-commands';
import { nodeCommands } from './commands/nodes/node-commands';
import { roleCommands } from './commands/roles/role-commands';
import { setupCommands } from './commands/setup/setup-commands';
import { exitCodeOf, exitCodes, reportError } from './terminal/exit';
import { addCommonOptions } from './terminal/options';
import { endWithReader, talk } from './terminal/print';
import { addCommands } from './terminal/registration';

/** The whole command line, not yet run. */
export function buildProgram(): Command {
  const program = new Command('emeth')
    .description('Train models on many machines, paid through an on-chain escrow.')
    .version(version(), '-V, --version')
    .enablePositionalOptions()
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
    .helpCommand(false)
    // Only when a command runs: help needs no network, and should appear at once.
    .hook('preAction', async () => (await import('./lib/proxy.js')).useProxies())
    .addHelpText(
      'after',
      '\nEvery command has --help with an example. Exit status: 0 done, 1 failed, 2 wrong usage or\nconfiguration, 3 not found, 4 not allowed, 5 chain, 130 stopped.',
    );
  addCommonOptions(program);
  addCommands(program, [roleCommands, jobCommands, modelCommands, nodeCommands, moneyCommands, setupCommands]);
  for (const command of program.commands) addCommonOptions(command);
  return program;
}

function version(): string {
  return (require('../package.json') as { version: string }).version;
}

/** Runs one command line; resolves with its exit status, errors printed. */
export async function runCli(argv: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync(unknownCommand(argv) ?? argv, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    const text = reportError(error, argv.includes('--json'));
    if (text) talk(text);
    return exitCodeOf(error);
  }
}

/** The unknown command of a command line, alone: commander would answer its --help with the general help. */
function unknownCommand(argv: readonly string[]): [string] | undefined {
  const program = buildProgram();
  const [name] = program.parseOptions([...argv]).operands;
  return name === undefined || program.commands.some((command) => command.name() === name) ? undefined : [name];
}

if (require.main === module) {
  // What a role and its Python children write is for its own account: data, weights, queue, log.
  process.umask(0o077);
  endWithReader();
  void runCli(process.argv.slice(2)).then((status) => {
    process.exitCode = status;
  });
}
