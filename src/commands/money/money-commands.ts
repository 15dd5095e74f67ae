/** The commands about money, as the help shows them; their work is loaded when they run. */
import { amount, example, gasCap } from '../../terminal/options';
import { type CommandTable, lazily } from '../../terminal/registration';

export const moneyCommands: CommandTable = {
  everybody: [
    (program) =>
      program
        .command('withdraw')
        .description('take out everything owed to this account: credit, unclaimed pay, rewards of past days')
        .option(
          '--to <address>',
          "who receives it (default: a registered node's payout wallet, else the account itself)",
        )
        .option('--storage <url>', 'where the results of jobs with unclaimed pay are (default: storageApi)')
        .option('--sweep <job...>', 'jobs of this node: also take out what their workers did not claim in time')
        .option('--dry-run', 'only show what would be moved and what it would cost')
        .option('--no-wait', 'return once it is mined, instead of once it is final (`confirmations`)')
        .option('--sign', 'without coin for gas: print a signed withdrawal of all credit for somebody else to send')
        .option('--tip <amount>', 'with --sign: part of the credit that goes to the sender (default: nothing)', amount)
        .option('--relay <file>', 'send a withdrawal that another account signed')
        .addOption(gasCap())
        .addHelpText(
          'after',
          example(
            'emeth withdraw --dry-run',
            'emeth withdraw --config config/worker.json --to 0x90f79bf6eb2c4f870365e785982e1f101e93b906',
            'emeth withdraw --config config/worker.json --sign --tip 0.1emt > mine.json',
            'emeth withdraw --config config/master.json --relay mine.json',
          ),
        )
        .action(lazily(async () => (await import('./withdraw.js')).withdraw)),
  ],
};
