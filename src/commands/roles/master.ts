import type { Command } from 'commander';
import { type CommonOptions, example } from '../../terminal/options';

export function registerMaster(program: Command): void {
  program
    .command('master')
    .description('coordinate: take jobs from the chain and have workers train them')
    .addHelpText(
      'after',
      example('emeth master', 'emeth master --config config/master.json --data-dir /var/lib/emeth/master'),
    )
    .action(async (options: CommonOptions) => (await import('../../app/run-master.js')).runMaster(options));
}
