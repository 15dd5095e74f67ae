/** `emeth register-node`: enters a node into the registry, by itself or by an operator with its consent. */
import { z } from 'zod';
import { type Account, openAccount } from '../../app/account';
import { describeNode, nodeOrOwn, requireNode, requireRegistry } from '../../app/registry';
import {
  type Enrolment,
  enrolmentLimits,
  isSignedByNode,
  openOperator,
  signEnrolment,
} from '../../chain/acts/operator';
import type { RegisteredNode, Registry } from '../../chain/acts/registry';
import { noFunds } from '../../chain/sending/revert';
import { formatEmt, typedEmt } from '../../domain/emt';
import { Address } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { sha256 } from '../../lib/hash';
import { parseAddress } from '../../terminal/arguments';
import { parseObject, readGiven, readJsonFile } from '../../terminal/files';
import type { SendOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';

export type RegisterError =
  | { code: 'usage/bad-enrolment'; problems: string[] }
  | { code: 'usage/registered-otherwise'; node: Address; fields: string[] }
  | { code: 'registry/no-consent'; node: Address }
  | { code: 'registry/consent-expired'; node: Address; deadline: number }
  | { code: 'registry/other-enrolment'; fields: string[] }
  | { code: 'registry/other-owner'; organisation: string; owner: Address };

interface RegisterOptions extends SendOptions {
  organization: string;
  walletAccount: string;
  nodeAddr?: string | undefined;
  stake?: bigint | undefined;
  computeUnits?: number | undefined;
  capabilityUri?: string | undefined;
  capabilityFile?: string | undefined;
  sign?: string | undefined;
  enrolment?: string | undefined;
}

const hex = (digits: number) =>
  z.string().regex(new RegExp(`^0x[0-9a-f]{${digits}}$`), `must be 0x and ${digits} hex digits`);

/** The JSON that a node signs for its operator. */
const SignedEnrolment = z.strictObject({
  node: Address,
  organisation: z.string(),
  payout: Address,
  capabilityHash: hex(64),
  capabilityUri: z.string(),
  computeUnits: z.int().min(0),
  deadline: z.int(),
  signature: hex(130),
});

const NO_HASH = `0x${'0'.repeat(64)}`;
const NO_ADDRESS = `0x${'0'.repeat(40)}`;
/** Gas for an organisation, an approval and an entry, each of the longest kind: 570,000 and some reserve. */
const REGISTRATION_GAS = 650_000n;
const SIGNATURE_S = 24 * 3600;

export async function registerNode(options: RegisterOptions): Promise<void> {
  await using account = await openAccount(options);
  const registry = await requireRegistry(account.chain);
  const enrolment = await readEnrolment(account, options);
  if (options.sign !== undefined) return await printSigned(account, registry, enrolment, options.sign);

  const known = await registry.find(enrolment.node);
  if (known) {
    requireAsRegistered(known, enrolment, account, options);
    talk(`${enrolment.node} is already registered; nothing was sent.`);
  } else await enter(account, registry, enrolment, options);
  const node = await requireNode(registry, enrolment.node);
  if (options.json) return printJson(node);
  printLines(...describeNode(node));
}

/**
 * Checks everything the registry could refuse before the first transaction, so that no organisation is
 * founded in vain.
 */
async function enter(
  account: Account,
  registry: Registry,
  enrolment: Enrolment,
  options: RegisterOptions,
): Promise<void> {
  const stakeWei = options.stake ?? (await registry.minStakeWei());
  await requireEnterable(registry, enrolment, stakeWei);
  const { deadline, signature } = await consentOf(enrolment, account, registry, options);
  const exists = await requireOwnOrNew(registry, enrolment.organisation, account.sender.address);
  await requireTokens(account, stakeWei);
  await requireGas(account);

  const operator = openOperator(account.chain, registry, account.sender);
  if (!exists) {
    talk(`Creating the organisation ${enrolment.organisation}.`);
    await operator.createOrganisation(enrolment.organisation);
  }
  await operator.register({ ...enrolment, deadline }, stakeWei, signature);
}

/** Throws `usage/bad-enrolment` for what no registry accepts, whoever signs and sends it. */
async function readEnrolment(account: Account, options: RegisterOptions): Promise<Enrolment> {
  const enrolment = {
    node: nodeOrOwn(options.nodeAddr, account),
    organisation: options.organization,
    payout: parseAddress(options.walletAccount),
    capabilityHash: await hashOf(options.capabilityFile),
    capabilityUri: options.capabilityUri ?? '',
    computeUnits: options.computeUnits ?? 1,
    deadline: Math.floor((await account.chain.nowMs()) / 1000) + SIGNATURE_S,
  };
  const { nameBytes, uriBytes, computeUnits } = enrolmentLimits;
  const length = Buffer.byteLength(enrolment.organisation);
  const problems: string[] = [];
  if (length === 0 || length > nameBytes)
    problems.push(`--organization must have 1 to ${nameBytes} bytes, not ${length}`);
  if (enrolment.payout === NO_ADDRESS) problems.push('--wallet-account must not be the zero address');
  if (enrolment.computeUnits > computeUnits) problems.push(`--compute-units must be at most ${computeUnits}`);
  if (Buffer.byteLength(enrolment.capabilityUri) > uriBytes) {
    problems.push(`--capability-uri must have at most ${uriBytes} bytes`);
  }
  if (problems.length > 0) throw badEnrolment(problems);
  return enrolment;
}

/** Throws `usage/bad-enrolment` for what this registry does not accept of this node. */
async function requireEnterable(registry: Registry, { node, payout }: Enrolment, stakeWei: bigint): Promise<void> {
  const minStakeWei = await registry.minStakeWei();
  const formerPayout = await registry.payoutOf(node);
  const problems: string[] = [];
  if (stakeWei < minStakeWei) {
    problems.push(`--stake must be at least ${formatEmt(minStakeWei)}, not ${formatEmt(stakeWei)}`);
  }
  if (formerPayout !== undefined && formerPayout !== payout) {
    problems.push(
      `--wallet-account must be ${formerPayout}, which the node had when it left; change it afterwards with \`emeth payout\``,
    );
  }
  if (problems.length > 0) throw badEnrolment(problems);
}

function badEnrolment(problems: string[]): AppError<RegisterError> {
  return new AppError(
    { code: 'usage/bad-enrolment', problems },
    `The node cannot be registered with these options: ${problems.join('; ')}. Nothing was sent.`,
  );
}

/** Returns whether the organisation exists already. Throws `registry/other-owner`. */
async function requireOwnOrNew(registry: Registry, organisation: string, account: Address): Promise<boolean> {
  const owner = await registry.ownerOf(organisation);
  if (owner === undefined || owner === account) return owner !== undefined;
  throw new AppError<RegisterError>(
    { code: 'registry/other-owner', organisation, owner },
    `${account} does not own that organisation: ${organisation} belongs to ${owner}; choose another name for yours.`,
  );
}

/** The registry takes tokens, not credit. Throws `chain/not-enough-tokens`. */
async function requireTokens({ chain, sender: { address } }: Account, needWei: bigint): Promise<void> {
  const haveWei = await chain.tokenBalance(address);
  if (haveWei >= needWei) return;
  const creditWei = await chain.credit(address);
  const remedy =
    haveWei + creditWei >= needWei ? 'take out its credit with `emeth withdraw`' : 'send it the difference';
  throw new AppError(
    { code: 'chain/not-enough-tokens', account: address, haveWei, needWei },
    `${address} has ${formatEmt(haveWei)} and ${formatEmt(creditWei)} of credit, and the stake is ${formatEmt(needWei)} of tokens; ${remedy}.`,
  );
}

/** The account might afford each transaction but the last one. Throws `chain/no-funds`. */
async function requireGas({ chain: { provider }, sender: { address } }: Account): Promise<void> {
  const { maxFeePerGas, gasPrice } = await provider.getFeeData();
  const needWei = REGISTRATION_GAS * (maxFeePerGas ?? gasPrice ?? 0n);
  if ((await provider.getBalance(address)) >= needWei) return;
  throw noFunds(address, 'register-node');
}

/**
 * Returns the hash of a JSON document; zeros without one. Throws `usage/unreadable-file` and
 * `usage/bad-file`.
 */
async function hashOf(file: string | undefined): Promise<string> {
  if (file === undefined) return NO_HASH;
  const bytes = await readGiven('--capability-file', file);
  parseObject('--capability-file', file, bytes);
  return `0x${sha256(bytes)}`;
}

async function printSigned(account: Account, registry: Registry, enrolment: Enrolment, by: string): Promise<void> {
  const signature = await signEnrolment(account.wallet, registry, enrolment, parseAddress(by));
  printJson({ ...enrolment, signature });
  talk('The signature is valid for a day. The operator passes this JSON with --enrolment.');
}

interface Consent {
  /** When it expires, in Unix seconds. */
  deadline: number;
  /** Undefined where the node is the operator itself. */
  signature?: string | undefined;
}

/**
 * Returns the node's consent to its enrolment, from the file that it signed; a node that is the operator
 * itself needs none. Throws `registry/no-consent`, `registry/other-enrolment` and `registry/consent-expired`.
 */
async function consentOf(
  enrolment: Enrolment,
  { chain, sender, wallet }: Account,
  registry: Registry,
  { enrolment: file }: RegisterOptions,
): Promise<Consent> {
  const { node } = enrolment;
  if (node === wallet.address) return { deadline: enrolment.deadline };
  if (file === undefined) {
    throw new AppError<RegisterError>(
      { code: 'registry/no-consent', node },
      `The node ${node} must agree: run this command with --sign <your address> and the node's configuration, then pass the JSON with --enrolment.`,
    );
  }
  const { signature, ...signed } = await readJsonFile('--enrolment', file, SignedEnrolment);
  const { deadline } = signed;
  requireSameEnrolment(file, signed, { ...enrolment, deadline });
  if (deadline * 1000 < (await chain.nowMs())) {
    throw new AppError<RegisterError>(
      { code: 'registry/consent-expired', node, deadline },
      `The signature of ${node} in ${file} expired at ${new Date(deadline * 1000).toISOString()}; let the node sign again.`,
    );
  }
  if (await isSignedByNode(chain, registry, signed, sender.address, signature)) return { deadline, signature };
  throw new AppError<RegisterError>(
    { code: 'registry/no-consent', node },
    `${file} is not signed by ${node} for ${sender.address}, or was used already; let the node sign again with --sign ${sender.address}.`,
  );
}

function requireSameEnrolment(file: string, signed: Enrolment, wanted: Enrolment): void {
  const fields = Object.entries(wanted).flatMap(([key, value]) =>
    signed[key as keyof Enrolment] === value ? [] : [key],
  );
  if (fields.length === 0) return;
  throw new AppError<RegisterError>(
    { code: 'registry/other-enrolment', fields },
    `${file} was signed for another ${fields.join(', ')}; sign again with the same options.`,
  );
}

/**
 * Throws `usage/registered-otherwise` when the registry differs from the options, and says what changes each.
 */
function requireAsRegistered(
  known: RegisteredNode,
  wanted: Enrolment,
  { wallet }: Account,
  options: RegisterOptions,
): void {
  const { stake = known.stakeWei, computeUnits, capabilityUri, capabilityFile } = options;
  const about = known.node === wallet.address ? '' : ` --node-addr ${known.node}`;
  const anew = `\`emeth unregister-node${about}\`, and register it again once its stake is out`;
  const toPayout =
    known.nextPayout?.payout === wanted.payout
      ? `\`emeth payout${about || ` --node-addr ${known.node}`} --confirm\` as that wallet`
      : `\`emeth payout${about} --to ${wanted.payout}\``;
  const toStake =
    stake > known.stakeWei ? `\`emeth stake${about} --amount ${typedEmt(stake - known.stakeWei)}\`` : anew;
  const fields: [name: string, isAsked: boolean, has: string | number, wants: string | number, remedy: string][] = [
    ['--organization', true, known.organisation, wanted.organisation, anew],
    ['--wallet-account', true, known.payout, wanted.payout, toPayout],
    ['--stake', true, formatEmt(known.stakeWei), formatEmt(stake), toStake],
    ['--compute-units', computeUnits !== undefined, known.computeUnits, wanted.computeUnits, anew],
    ['--capability-uri', capabilityUri !== undefined, known.capabilityUri, wanted.capabilityUri, anew],
    ['--capability-file', capabilityFile !== undefined, known.capabilityHash, wanted.capabilityHash, anew],
  ];
  const differing = fields.filter(([, isAsked, has, wants]) => isAsked && has !== wants);
  if (differing.length === 0) return;
  const differences = differing.map(([name, , has, wants, remedy]) => `${name} is ${has} and not ${wants} (${remedy})`);
  throw new AppError<RegisterError>(
    { code: 'usage/registered-otherwise', node: known.node, fields: differing.map(([name]) => name) },
    `${known.node} is registered with other values, and nothing was sent: ${differences.join('; ')}.`,
  );
}
