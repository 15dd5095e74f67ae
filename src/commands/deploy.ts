import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { AppError } from '../lib/errors';
import { type CommonOptions, example } from './options';
import { printJson, printLines, talk } from './print';

interface DeployCommandOptions extends CommonOptions {
  endpoint: string;
  privateKeyFile?: string | undefined;
  verifier: string[];
  holder?: string | undefined;
  admin?: string | undefined;
  network: string;
  dev?: boolean | undefined;
  fund: string[];
}

const COIN = 10n ** 18n;

export function registerDeploy(program: Command): void {
  program
    .command('deploy')
    .description('deploy token, escrow, node registry and reward pool, check code and roles, and note where they are')
    .requiredOption('--endpoint <url>', 'JSON-RPC address of the Ethereum node')
    .option('--private-key-file <file>', 'key of the deploying account, readable by you alone')
    .option('--dev', "use the development chain's first account instead of a key of yours")
    .option('--verifier <address...>', 'accounts that may verify results', [])
    .option('--holder <address>', 'gets the whole first supply of EMT (default: the deploying account)')
    .option('--admin <address>', 'administrator of the contract (default: the deploying account)')
    .option('--fund <address...>', 'with --dev: gives each of them 10 coins for gas and 1000 EMT', [])
    .option('--network <name>', 'written to config/networks/<name>.json', 'local')
    .addHelpText(
      'after',
      example(
        'emeth deploy --endpoint http://127.0.0.1:8545 --dev --verifier 0x90f7… --fund 0x90f7… 0x15d3…',
        'emeth deploy --endpoint https://rpc.example.org --private-key-file deployer.key --verifier 0x… --network main',
      ),
    )
    .action(deploy);
}

async function deploy(options: DeployCommandOptions): Promise<void> {
  const { default: writeFile } = await import('write-file-atomic');
  const { deployContracts } = await import('../chain/deploy.js');
  const { fundAccounts } = await import('../chain/faucet.js');
  const { openDeployer } = await import('../chain/deployer.js');
  const { parseAddress } = await import('./arguments.js');
  const source = await keySource(options);
  const deployer = await openDeployer(options.endpoint, source);
  try {
    const deployment = await deployContracts(deployer.signer, {
      holder: options.holder === undefined ? deployer.address : parseAddress(options.holder),
      admin: options.admin === undefined ? deployer.address : parseAddress(options.admin),
      verifiers: options.verifier.map((text) => parseAddress(text)),
    });
    const gifts = options.fund.map((text) => ({ to: parseAddress(text), ethWei: 10n * COIN, emtWei: 1000n * COIN }));
    if (gifts.length > 0) await fundAccounts(options.endpoint, source, deployment.tokenContractAddress, gifts);
    const path = join('config', 'networks', `${options.network}.json`);
    await mkdir(join('config', 'networks'), { recursive: true });
    await writeFile(path, `${JSON.stringify({ endpoint: options.endpoint, ...deployment }, null, 2)}\n`);
    if (options.json) return printJson({ ...deployment, network: path });
    talk(`Deployed by ${deployer.address}; written to ${path}.`);
    printLines(...Object.entries(deployment).map(([name, value]) => `${name.padEnd(27)}${value}`));
  } finally {
    deployer.close();
  }
}

async function keySource(options: DeployCommandOptions) {
  if (options.fund.length > 0 && !options.dev) {
    throw new AppError(
      { code: 'usage/fund-without-dev' },
      '--fund gives away the development account’s money; add --dev.',
    );
  }
  const { devKeys } = await import('../runner/anvil.js');
  if (options.privateKeyFile !== undefined) return { privateKeyFile: options.privateKeyFile };
  if (options.dev) return { privateKey: devKeys[0] };
  throw new AppError(
    { code: 'usage/no-key' },
    'Name the deploying account by --private-key-file, or use --dev on a development chain.',
  );
}
