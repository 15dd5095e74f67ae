#!/usr/bin/env node
import { Command } from 'commander';
import { registerAccept } from './commands/accept';
import { registerBoard } from './commands/board';
import { registerCancel } from './commands/cancel';
import { registerChallenge } from './commands/challenge';
import { registerDbInit } from './commands/db-init';
import { registerDecline } from './commands/decline';
import { registerDemo } from './commands/demo';
import { registerDeploy } from './commands/deploy';
import { registerDoctor } from './commands/doctor';
import { exitCodeOf, exitCodes, reportError } from './commands/exit';
import { registerGenerate } from './commands/generate';
import { registerQueryNodeIncentive } from './commands/incentives';
import { registerInit } from './commands/init';
import { registerJob } from './commands/job';
import { registerJoblist } from './commands/joblist';
import { registerMaster } from './commands/master';
import { registerNewAccount } from './commands/new-account';
import { registerNode } from './commands/node';
import { addCommonOptions } from './commands/options';
import { registerPayout } from './commands/payout';
import { registerQueryAllNodes, registerQueryNode } from './commands/query-nodes';
import { registerRegisterNode } from './commands/register-node';
import { registerRequest } from './commands/request';
import { registerResult } from './commands/result';
import { registerRpc } from './commands/rpc';
import { registerStake } from './commands/stake';
import { registerUnregisterNode } from './commands/unregister-node';
import { registerVerifier } from './commands/verifier';
import { registerWithdraw } from './commands/withdraw';
import { registerWorker } from './commands/worker';

// Only registration is imported here; what a command needs is imported when it runs, so that --help answers at once.
const registrations = [
  registerDemo,
  registerMaster,
  registerWorker,
  registerVerifier,
  registerBoard,
  registerRequest,
  registerCancel,
  registerAccept,
  registerChallenge,
  registerResult,
  registerGenerate,
  registerWithdraw,
  registerJoblist,
  registerJob,
  registerDecline,
  registerNode,
  registerRegisterNode,
  registerUnregisterNode,
  registerStake,
  registerPayout,
  registerQueryAllNodes,
  registerQueryNode,
  registerQueryNodeIncentive,
  registerNewAccount,
  registerInit,
  registerDeploy,
  registerRpc,
  registerDoctor,
  registerDbInit,
];

/** The whole command line, not yet run. */
export function buildProgram(): Command {
  const program = new Command('emeth')
    .description('Train models on many machines, paid through an on-chain escrow.')
    .version(version(), '-V, --version')
    .enablePositionalOptions()
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
    .helpCommand(false)
    .addHelpText(
      'after',
      '\nEvery command has --help with an example. Exit status: 0 done, 1 failed, 2 wrong usage or\nconfiguration, 3 not found, 4 not allowed, 5 chain, 130 stopped.',
    );
  addCommonOptions(program);
  for (const register of registrations) register(program);
  for (const command of program.commands) addCommonOptions(command);
  return program;
}

function version(): string {
  return (require('../package.json') as { version: string }).version;
}

/** Runs one command line; resolves with its exit status, errors printed. */
export async function runCli(argv: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync(argv, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    const text = reportError(error, argv.includes('--json'));
    if (text) process.stderr.write(`${text}\n`);
    return exitCodeOf(error);
  }
}

if (require.main === module) {
  // Whoever reads our output may stop reading, as in `emeth joblist | head`; that is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  void runCli(process.argv.slice(2)).then((status) => {
    process.exitCode = status;
  });
}
