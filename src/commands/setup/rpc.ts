import { Argument, type Command } from 'commander';
import { defaultConfigPath } from '../../app/context';
import { AppError } from '../../lib/errors';
import { type CommonOptions, example } from '../../terminal/options';
import { printJson } from '../../terminal/print';

const methods = ['status', 'workers', 'jobs', 'job', 'disconnect', 'allow'];

interface RpcOptions extends CommonOptions {
  url?: string | undefined;
}

export function registerRpc(program: Command): void {
  program
    .command('rpc')
    .description("ask or order a running master through its admin API; prints the answer's result")
    .addArgument(new Argument('<method>', 'what to ask or order').choices(methods))
    .argument('[params]', 'parameters as JSON')
    .option('--url <url>', "the master's address (default: my_url of the configuration)")
    .addHelpText(
      'after',
      example(
        'emeth rpc workers',
        `emeth rpc disconnect '{"workerAddress":"0x90f79bf6eb2c4f870365e785982e1f101e93b906"}'`,
      ),
    )
    .action(rpc);
}

async function rpc(method: string, params: string | undefined, options: RpcOptions): Promise<void> {
  const { openAdminClient } = await import('../../admin/client.js');
  const url = options.url ?? (await masterUrl(options));
  printJson(await openAdminClient(url).call(method, params === undefined ? undefined : parseParams(params)));
}

/** `my_url` of the master's configuration, for operators on its own machine. */
export async function masterUrl(options: CommonOptions): Promise<string> {
  const { loadConfig } = await import('../../config/load.js');
  const path = options.config ?? defaultConfigPath('master');
  return loadConfig('master', { path, isRequired: false, env: process.env }).my_url;
}

function parseParams(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError({ code: 'usage/bad-params', text }, `The parameters ${text} are not JSON.`, { cause });
  }
}
