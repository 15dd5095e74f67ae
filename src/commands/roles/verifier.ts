import type { Command } from 'commander';
import { type CommonOptions, example } from '../../terminal/options';

export function registerVerifier(program: Command): void {
  program
    .command('verifier')
    .description('check submitted results and attest or reject them')
    .addHelpText(
      'after',
      example('emeth verifier', 'emeth verifier --config config/verifier.json --data-dir data/verifier'),
    )
    .action(async (options: CommonOptions) => (await import('../../app/run-verifier.js')).runVerifier(options));
}
