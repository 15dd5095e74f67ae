/** The commands about nodes and their registry, as the help shows them; their work loads when they run. */
import { amount, example, gasCap, positiveAmount, wholeNumber } from '../../terminal/options';
import { type CommandTable, lazily } from '../../terminal/registration';

const NODE = '0x90f79bf6eb2c4f870365e785982e1f101e93b906';

export const nodeCommands: CommandTable = {
  operators: [
    (program) =>
      program
        .command('register-node')
        .description(
          'enter a node into the registry, so that it may take jobs; its stake is locked until it is unregistered',
        )
        .requiredOption(
          '--organization <name>',
          'organisation the node belongs to; created if there is none of that name',
        )
        .requiredOption('--wallet-account <address>', 'payout wallet for slot rewards; preferably not the node itself')
        .option('--node-addr <address>', 'the node (default: the account of the configuration)')
        .option('--stake <amount>', 'stake to lock, e.g. 10emt (default: the minimum)', amount)
        .option('--compute-units <n>', 'how much it can do, in units of your choice (default: 1)', wholeNumber(0))
        .option('--capability-uri <url>', 'address of a document that describes what the node offers')
        .option('--capability-file <file>', 'that document as a JSON file; its sha256 goes into the registry')
        .option('--sign <operator>', 'as the node: only sign its enrolment by that operator, and print it as JSON')
        .option('--enrolment <file>', 'as the operator: file with the JSON that the node has signed')
        .addOption(gasCap())
        .addHelpText(
          'after',
          example(
            'emeth register-node --organization acme --wallet-account 0x90f7…',
            'emeth register-node --organization acme --wallet-account 0x90f7… --sign 0x3c44… --config config/master.json > node.json',
            'emeth register-node --organization acme --wallet-account 0x90f7… --node-addr 0x15d3… --enrolment node.json',
          ),
        )
        .action(lazily(async () => (await import('./register-node.js')).registerNode)),
    (program) =>
      program
        .command('unregister-node')
        .description('take a node out of service; run it again after the unbonding time to take the stake out')
        .option('--node-addr <address>', 'the node (default: the account of the configuration)')
        .option('--undo', 'put a node that is unbonding back into service')
        .addOption(gasCap())
        .addHelpText('after', example('emeth unregister-node', 'emeth unregister-node --undo'))
        .action(lazily(async () => (await import('./unregister-node.js')).unregisterNode)),
    (program) =>
      program
        .command('stake')
        .description("add to a registered node's stake; its operator gets it back when the node is unregistered")
        .requiredOption('--amount <amount>', 'how much to add, e.g. 5emt', positiveAmount)
        .option('--node-addr <address>', 'the node (default: the account of the configuration)')
        .addOption(gasCap())
        .addHelpText('after', example('emeth stake --amount 5emt'))
        .action(lazily(async () => (await import('./stake.js')).addStake)),
    (program) =>
      program
        .command('payout')
        .description("change a node's payout wallet: propose another, and confirm as that wallet two days later")
        .option('--node-addr <address>', 'the node (default: the account of the configuration)')
        .option('--to <address>', 'as the operator: propose this wallet')
        .option('--confirm', 'as the proposed wallet: accept the change')
        .option('--cancel', 'as the operator or the current wallet: cancel the change')
        .addOption(gasCap())
        .addHelpText(
          'after',
          example(`emeth payout --to ${NODE}`, 'emeth payout --node-addr 0x15d3… --confirm --config config/cold.json'),
        )
        .action(lazily(async () => (await import('./payout.js')).changePayout)),
  ],
  everybody: [
    (program) =>
      program
        .command('node')
        .description(
          'show everything an account has: credit, deposits, rewards, EMT, coin for gas, and its entry as a node',
        )
        .argument('[address]', "account to look at (default: the configuration's own)")
        .addHelpText('after', example('emeth node', `emeth node ${NODE} --json`))
        .action(lazily(async () => (await import('./node.js')).showNode)),
    (program) =>
      program
        .command('query-all-nodes')
        .description('list the registered nodes')
        .option('--page <n>', 'which page', wholeNumber(1), 1)
        .option('--page-size <n>', 'registry entries per page', wholeNumber(1), 100)
        .addHelpText('after', example('emeth query-all-nodes', 'emeth query-all-nodes --page 2 --json'))
        .action(lazily(async () => (await import('./query-nodes.js')).listNodes)),
    (program) =>
      program
        .command('query-node')
        .description("show a node's entry in the registry")
        .requiredOption('--node-addr <address>', 'the node, with or without 0x')
        .addHelpText('after', example(`emeth query-node --node-addr ${NODE}`))
        .action(lazily(async () => (await import('./query-nodes.js')).showEntry)),
    (program) =>
      program
        .command('query-node-incentive')
        .description("show a node's credit, its deposits in running jobs, and slot rewards it has not claimed")
        .requiredOption('--node-addr <address>', 'the node, with or without 0x')
        .addHelpText('after', example(`emeth query-node-incentive --node-addr ${NODE}`))
        .action(lazily(async () => (await import('./incentives.js')).showIncentives)),
  ],
};
