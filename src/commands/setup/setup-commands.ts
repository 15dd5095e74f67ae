/** The commands about setting things up, as the help shows them; their work is loaded when they run. */
import { Argument } from 'commander';
import { collect, collectUrl, example, networkName, wholeNumber } from '../../terminal/options';
import { type CommandTable, lazily } from '../../terminal/registration';

export const setupCommands: CommandTable = {
  gpuOwners: [
    (program) =>
      program
        .command('measure')
        .description('measure what this machine can do as a worker: training speed, power, disk')
        .option('--disk <dir>', "directory whose disk is measured (default: the worker's data directory)")
        .addHelpText('after', example('emeth measure', 'emeth measure --disk /var/lib/emeth --json'))
        .action(lazily(async () => (await import('./measure.js')).measureMachine)),
  ],
  operators: [
    (program) =>
      program
        .command('deploy')
        .description(
          'deploy token, escrow, node registry and reward pool, check code, roles and links, and record the addresses',
        )
        .requiredOption(
          '--endpoint <url...>',
          'JSON-RPC address of the Ethereum node, or several of one chain',
          collectUrl,
        )
        .option('--private-key-file <file>', 'key of the deploying account, readable by you alone')
        .option('--dev', "use the development chain's first account instead of a key file")
        .option('--verifier <address...>', 'accounts that may verify results', [])
        .option('--quorum <count>', 'how many of these must agree on a result, at most 16 (default: 1)', wholeNumber(1))
        .option('--holder <address>', 'receives the whole initial supply of EMT (default: the deploying account)')
        .option('--admin <address>', 'administrator of the contract (default: the deploying account)')
        .option('--fund <address...>', 'with --dev: accounts that each receive 10 coins for gas and 1000 EMT', [])
        .option(
          '--network <name>',
          'name of the deployment; written to config/networks/<name>.json',
          networkName,
          'local',
        )
        .option('--force', 'deploy even if that file names another deployment or an earlier run was interrupted')
        .addHelpText(
          'after',
          example(
            'emeth deploy --endpoint http://127.0.0.1:8545 --dev --verifier 0x90f7… --fund 0x90f7… 0x15d3…',
            'emeth deploy --endpoint https://rpc.example.org --private-key-file deployer.key --verifier 0x12… 0x34… 0x56… --quorum 2 --network main',
          ),
        )
        .action(lazily(async () => (await import('./deploy.js')).deploy)),
    (program) =>
      program
        .command('rpc')
        .description("call a running master's admin API and print the result")
        .addArgument(
          new Argument('<method>', 'method to call').choices([
            'status',
            'storage',
            'workers',
            'jobs',
            'job',
            'requeue',
            'disconnect',
            'allow',
            'measure',
          ]),
        )
        .argument('[params]', 'parameters as JSON, or the job or worker alone')
        .option('--url <url>', "the master's address (default: my_url of the configuration)")
        .addHelpText(
          'after',
          example(
            'emeth rpc workers',
            'emeth rpc requeue 0x1f0c6f3fd2f8f0a1b2c3d4e5f6a7b8c9',
            `emeth rpc disconnect '{"workerAddress":"0x90f79bf6eb2c4f870365e785982e1f101e93b906"}'`,
          ),
        )
        .action(lazily(async () => (await import('./rpc.js')).callMaster)),
    (program) =>
      program
        .command('db-init')
        .description("create the queue's tables; drops an existing queue after asking")
        .option('--yes', 'drop without asking')
        .addHelpText('after', example('emeth db-init --config config/master.json'))
        .action(lazily(async () => (await import('./db-init.js')).initDatabase)),
  ],
  everybody: [
    (program) =>
      program
        .command('init')
        .description(
          'write a configuration with every setting explained, and a new account beside it (a board needs none)',
        )
        .addArgument(
          new Argument('<role>', 'what to configure').choices([
            'master',
            'worker',
            'verifier',
            'client',
            'board',
            'storage',
          ]),
        )
        .option('--set <key=value>', 'give a setting a value (repeatable)', collect)
        .option('--password-file <file>', 'file with the password of the new key (default: a random one, beside it)')
        .option('--plain-key', 'write the new key unencrypted, for trying things out')
        .addHelpText('after', example('emeth init master --set my_url=https://master.example.org'))
        .action(lazily(async () => (await import('./init.js')).initRole)),
    (program) =>
      program
        .command('new-account')
        .description('make an account: an encrypted key file (keystore v3)')
        .option('--out <file>', 'where to write it; an existing file is never overwritten', 'config/keystore.json')
        .option('--password-file <file>', 'file with the password (default: a random one, written beside the keystore)')
        .addHelpText('after', example('emeth new-account --out config/worker.keystore.json'))
        .action(lazily(async () => (await import('./new-account.js')).makeAccount)),
    (program) =>
      program
        .command('doctor')
        .description(
          'check that everything a role needs is there: Python, PyTorch, GPU, disk, chain, contracts, storage',
        )
        .addHelpText('after', example('emeth doctor', 'emeth doctor --config config/worker.json --json'))
        .action(lazily(async () => (await import('./doctor.js')).examine)),
  ],
};
