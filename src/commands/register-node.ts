import type { Command } from 'commander';
import { z } from 'zod';
import type { Enrolment } from '../chain/operator';
import type { Registry } from '../chain/registry';
import { Address } from '../domain/ids';
import { AppError } from '../lib/errors';
import type { Account } from './account';
import { amount, type CommonOptions, example, wholeNumber } from './options';
import { printJson, printLines, talk } from './print';
import { describeNode, requireNode, requireRegistry } from './registry';

interface RegisterOptions extends CommonOptions {
  organization: string;
  walletAccount: string;
  nodeAddr?: string | undefined;
  stake?: bigint | undefined;
  computeUnits: number;
  capabilityUri?: string | undefined;
  capabilityFile?: string | undefined;
  sign?: string | undefined;
  enrolment?: string | undefined;
}

/** What a node hands to its operator. */
const SignedEnrolment = z.strictObject({
  node: Address,
  organisation: z.string(),
  payout: Address,
  capabilityHash: z.string().regex(/^0x[0-9a-f]{64}$/),
  capabilityUri: z.string(),
  computeUnits: z.int().min(0),
  deadline: z.int(),
  signature: z.string().regex(/^0x[0-9a-f]+$/),
});

const NO_HASH = `0x${'0'.repeat(64)}`;
const SIGNATURE_S = 24 * 3600;

export function registerRegisterNode(program: Command): void {
  program
    .command('register-node')
    .description(
      'enter a node into the registry, so that it may take jobs; its stake is locked until it is unregistered',
    )
    .requiredOption('--organization <name>', 'organisation the node belongs to; founded if there is none of that name')
    .requiredOption('--wallet-account <address>', 'payout wallet: where slot rewards go; better not the node itself')
    .option('--node-addr <address>', 'the node (default: the account of the configuration)')
    .option('--stake <amount>', 'stake to lock, e.g. 10emt (default: the least there may be)', amount)
    .option('--compute-units <n>', 'how much it can do, in units of your choice', wholeNumber(0), 1)
    .option('--capability-uri <url>', 'where a document says what the node has to offer')
    .option('--capability-file <file>', 'that document, whose sha256 goes into the registry')
    .option('--sign <operator>', 'as the node: only sign its enrolment by that account, and print it as JSON')
    .option('--enrolment <file>', 'as the operator: the JSON that the node has signed')
    .addHelpText(
      'after',
      example(
        'emeth register-node --organization acme --wallet-account 0x90f7…',
        'emeth register-node --organization acme --wallet-account 0x90f7… --sign 0x3c44… --config config/master.json > node.json',
        'emeth register-node --organization acme --wallet-account 0x90f7… --node-addr 0x15d3… --enrolment node.json',
      ),
    )
    .action(registerNode);
}

async function registerNode(options: RegisterOptions): Promise<void> {
  const { openAccount } = await import('./account.js');
  const { openOperator } = await import('../chain/operator.js');
  await using account = await openAccount(options);
  const { chain, sender } = account;
  const registry = await requireRegistry(chain);
  const enrolment = await readEnrolment(account, options);
  if (options.sign !== undefined) return await printSigned(account, registry, enrolment, options.sign);

  const known = await registry.find(enrolment.node);
  if (!known) {
    const signature = await consentOf(enrolment, account, options);
    const operator = openOperator(chain, registry, sender);
    if ((await registry.ownerOf(enrolment.organisation)) === undefined) {
      talk(`Founding the organisation ${enrolment.organisation}.`);
      await operator.createOrganisation(enrolment.organisation);
    }
    const stakeWei = options.stake ?? (await registry.minStakeWei());
    await operator.register(enrolment, stakeWei, signature);
  } else talk(`${enrolment.node} was registered before; nothing was sent.`);
  const node = await requireNode(registry, enrolment.node);
  if (options.json) return printJson(node);
  printLines(...describeNode(node));
}

async function readEnrolment(account: Account, options: RegisterOptions): Promise<Enrolment> {
  const { parseAddress } = await import('./arguments.js');
  const { nodeOrOwn } = await import('./registry.js');
  return {
    node: await nodeOrOwn(options.nodeAddr, account),
    organisation: options.organization,
    payout: parseAddress(options.walletAccount),
    capabilityHash: await hashOf(options.capabilityFile),
    capabilityUri: options.capabilityUri ?? '',
    computeUnits: options.computeUnits,
    deadline: Math.floor((await account.chain.nowMs()) / 1000) + SIGNATURE_S,
  };
}

async function hashOf(file: string | undefined): Promise<string> {
  if (file === undefined) return NO_HASH;
  const { readFile } = await import('node:fs/promises');
  const { sha256 } = await import('../lib/hash.js');
  return `0x${sha256(await readFile(file))}`;
}

async function printSigned(account: Account, registry: Registry, enrolment: Enrolment, by: string): Promise<void> {
  const { signEnrolment } = await import('../chain/operator.js');
  const { parseAddress } = await import('./arguments.js');
  const signature = await signEnrolment(account.wallet, registry, enrolment, parseAddress(by));
  printJson({ ...enrolment, signature });
  talk('Signed for a day. The operator brings it with --enrolment.');
}

/** The signature of a node that is not the operator itself; takes over what the node signed. */
async function consentOf(
  enrolment: Enrolment,
  account: Account,
  options: RegisterOptions,
): Promise<string | undefined> {
  if (enrolment.node === account.wallet.address) return undefined;
  if (options.enrolment === undefined) {
    throw new AppError(
      { code: 'registry/no-consent', node: enrolment.node },
      `The node ${enrolment.node} must agree: run this command with --sign <your address> and the node's configuration, then bring the JSON with --enrolment.`,
    );
  }
  const { readFile } = await import('node:fs/promises');
  const { signature, ...signed } = SignedEnrolment.parse(JSON.parse(await readFile(options.enrolment, 'utf8')));
  const wanted = { ...enrolment, deadline: signed.deadline };
  const differing = Object.entries(wanted).filter(([key, value]) => signed[key as keyof typeof signed] !== value);
  if (differing.length === 0) {
    enrolment.deadline = signed.deadline;
    return signature;
  }
  throw new AppError(
    { code: 'registry/other-enrolment', fields: differing.map(([key]) => key) },
    `${options.enrolment} was signed for another ${differing.map(([key]) => key).join(', ')}; sign again with the same options.`,
  );
}
