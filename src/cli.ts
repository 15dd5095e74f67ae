#!/usr/bin/env node
import { Command } from 'commander';
import { registerAccept } from './commands/jobs/accept';
import { registerCancel } from './commands/jobs/cancel';
import { registerChallenge } from './commands/jobs/challenge';
import { registerDecline } from './commands/jobs/decline';
import { registerGenerate } from './commands/jobs/generate';
import { registerJob } from './commands/jobs/job';
import { registerJoblist } from './commands/jobs/joblist';
import { registerRequest } from './commands/jobs/request';
import { registerResult } from './commands/jobs/result';
import { registerWithdraw } from './commands/money/withdraw';
import { registerQueryNodeIncentive } from './commands/nodes/incentives';
import { registerNode } from './commands/nodes/node';
import { registerPayout } from './commands/nodes/payout';
import { registerQueryAllNodes, registerQueryNode } from './commands/nodes/query-nodes';
import { registerRegisterNode } from './commands/nodes/register-node';
import { registerStake } from './commands/nodes/stake';
import { registerUnregisterNode } from './commands/nodes/unregister-node';
import { registerBoard } from './commands/roles/board';
import { registerDemo } from './commands/roles/demo';
import { registerMaster } from './commands/roles/master';
import { registerVerifier } from './commands/roles/verifier';
import { registerWorker } from './commands/roles/worker';
import { registerDbInit } from './commands/setup/db-init';
import { registerDeploy } from './commands/setup/deploy';
import { registerDoctor } from './commands/setup/doctor';
import { registerInit } from './commands/setup/init';
import { registerNewAccount } from './commands/setup/new-account';
import { registerRpc } from './commands/setup/rpc';
import { exitCodeOf, exitCodes, reportError } from './terminal/exit';
import { addCommonOptions } from './terminal/options';

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
