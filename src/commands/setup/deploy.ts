/** `emeth deploy`: puts the contracts on a chain and notes where they are. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import writeFile from 'write-file-atomic';
import {
  type Deployment,
  type DeploymentPlan,
  defaultTerms,
  deployContracts,
  type Places,
  planDeployment,
} from '../../chain/deploy/deploy';
import { type Deployer, openDeployer } from '../../chain/deploy/deployer';
import { fundAccounts } from '../../chain/deploy/faucet';
import type { Address } from '../../domain/ids';
import { decodeText } from '../../lib/decode-text';
import { AppError } from '../../lib/errors';
import { devKeys } from '../../runner/anvil';
import { parseAddress } from '../../terminal/arguments';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';

export type DeployUsageError =
  | { code: 'usage/fund-without-dev' }
  | { code: 'usage/no-key' }
  | { code: 'usage/quorum-too-high'; quorum: number; verifiers: number }
  | { code: 'usage/other-deployment'; path: string }
  | { code: 'usage/unfinished-deployment'; path: string };

interface DeployCommandOptions extends CommonOptions {
  endpoint: string[];
  privateKeyFile?: string | undefined;
  verifier: string[];
  quorum?: number | undefined;
  holder?: string | undefined;
  admin?: string | undefined;
  network: string;
  force?: boolean | undefined;
  dev?: boolean | undefined;
  fund: string[];
}

interface Files {
  /** Where the network's contracts are; configurations refer to it. */
  network: string;
  /** Exists from before the first transaction until `network` is written. */
  unfinished: string;
}

const COIN = 10n ** 18n;
/** The contract's own limit. */
const MAX_QUORUM = 16;

export async function deploy(options: DeployCommandOptions): Promise<void> {
  const source = keySource(options);
  const accounts = accountsOf(options);
  const deployer = await openDeployer(options.endpoint, source);
  try {
    const files = filesOf(options.network);
    const deployment = await deployInto(files, deployer, accounts, options);
    const gifts = accounts.funded.map((to) => ({ to, ethWei: 10n * COIN, emtWei: 1000n * COIN }));
    const [endpoint = ''] = options.endpoint;
    if (gifts.length > 0) await fundAccounts(endpoint, source, deployment.tokenContractAddress, gifts);
    if (options.json) return printJson({ ...deployment, network: files.network });
    talk(`Deployed by ${deployer.address}; written to ${files.network}.`);
    printLines(...Object.entries(deployment).map(([name, value]) => `${name.padEnd(27)}${value}`));
  } finally {
    deployer.close();
  }
}

/** Deploys and notes it, unless the network's file already names other contracts. */
async function deployInto(
  files: Files,
  { address, signer }: Deployer,
  { holder = address, admin = address, verifiers, quorum }: Accounts,
  options: DeployCommandOptions,
): Promise<Deployment> {
  const plan = await planDeployment(signer);
  const endpoint = options.endpoint.length === 1 ? options.endpoint[0] : options.endpoint;
  if (!options.force) await requireFree(files, { endpoint, ...plan.places }, signer);
  await mkdir(join('config', 'networks'), { recursive: true });
  await writeFile(files.unfinished, toText(plan));
  const deployment = await deployContracts(signer, { holder, admin, verifiers, terms: { quorum } }, plan);
  await writeFile(files.network, toText({ endpoint, ...deployment }));
  await rm(files.unfinished);
  return deployment;
}

/** Throws `usage/other-deployment` and `usage/unfinished-deployment`. */
async function requireFree(files: Files, planned: object, signer: Deployer['signer']): Promise<void> {
  const known = await readObject(files.network);
  // A development chain that was restarted has the same contracts at the same addresses.
  const isSame = Object.entries(planned).every(
    ([key, value]) => JSON.stringify(known?.[key]) === JSON.stringify(value),
  );
  if (known && !isSame) throw otherDeployment(files.network, known);
  const unfinished = (await readObject(files.unfinished)) as Partial<DeploymentPlan> | undefined;
  if (unfinished && (await mayHaveBegun(unfinished.places, signer)))
    throw unfinishedDeployment(files.unfinished, unfinished);
}

/** Returns false when no transaction of that deployment reached the chain. */
async function mayHaveBegun(places: Partial<Places> | undefined, { provider }: Deployer['signer']): Promise<boolean> {
  const { chainId, tokenContractAddress } = places ?? {};
  if (tokenContractAddress === undefined || BigInt(chainId ?? 0) !== (await provider?.getNetwork())?.chainId)
    return true;
  return (await provider?.getCode(tokenContractAddress)) !== '0x';
}

/** Returns undefined without such a file; a file that is not a JSON object counts as an empty one. */
async function readObject(path: string): Promise<Record<string, unknown> | undefined> {
  let text: string;
  try {
    text = decodeText(await readFile(path)).text ?? '';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return { ...(JSON.parse(text) as object | null) } as Record<string, unknown>;
  } catch {
    return {};
  }
}

function otherDeployment(path: string, { emethContractAddress = 'none', chainId = '?' }: Record<string, unknown>) {
  return new AppError<DeployUsageError>(
    { code: 'usage/other-deployment', path },
    `${path} names another deployment (escrow ${emethContractAddress} on chain ${chainId}); choose another --network, or replace it with --force.`,
  );
}

function unfinishedDeployment(path: string, { deployer, places }: Partial<DeploymentPlan>) {
  return new AppError<DeployUsageError>(
    { code: 'usage/unfinished-deployment', path },
    `An earlier deployment by ${deployer} on chain ${places?.chainId} was interrupted (${path}). What it left on the chain is useless and harmless; deploy again with --force.`,
  );
}

function filesOf(network: string): Files {
  const path = (ending: string) => join('config', 'networks', `${network}${ending}`);
  // No network has this name: names have no dot.
  return { network: path('.json'), unfinished: path('.unfinished.json') };
}

function toText(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

interface Accounts {
  holder?: Address | undefined;
  admin?: Address | undefined;
  verifiers: Address[];
  /** How many of the verifiers must agree. */
  quorum: number;
  funded: Address[];
}

/** Throws `usage/bad-argument` and `usage/quorum-too-high`. */
function accountsOf({ holder, admin, verifier, quorum, fund }: DeployCommandOptions): Accounts {
  const verifiers = [...new Set(verifier.map(parseAddress))];
  if (quorum !== undefined) requireReachable(quorum, verifiers.length);
  return {
    holder: holder === undefined ? undefined : parseAddress(holder),
    admin: admin === undefined ? undefined : parseAddress(admin),
    verifiers,
    quorum: quorum ?? defaultTerms.quorum,
    funded: fund.map(parseAddress),
  };
}

function requireReachable(quorum: number, verifiers: number): void {
  if (quorum <= Math.min(verifiers, MAX_QUORUM)) return;
  const remedy =
    quorum > MAX_QUORUM ? `the contract takes at most ${MAX_QUORUM}` : 'name more with --verifier, or lower --quorum';
  throw new AppError<DeployUsageError>(
    { code: 'usage/quorum-too-high', quorum, verifiers },
    `A quorum of ${quorum} cannot be reached by ${verifiers} different verifiers: ${remedy}.`,
  );
}

function keySource(options: DeployCommandOptions) {
  if (options.fund.length > 0 && !options.dev) {
    throw new AppError<DeployUsageError>(
      { code: 'usage/fund-without-dev' },
      '--fund gives away money of the development account; add --dev.',
    );
  }
  if (options.privateKeyFile !== undefined) return { privateKeyFile: options.privateKeyFile };
  if (options.dev) return { privateKey: devKeys[0] };
  throw new AppError<DeployUsageError>(
    { code: 'usage/no-key' },
    'Name the key of the deploying account with --private-key-file, or use --dev on a development chain.',
  );
}
