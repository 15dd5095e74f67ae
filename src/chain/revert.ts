import { decodeBytes32String, Interface, isError } from 'ethers';
import type { Address } from '../domain/ids';
import { chainStates } from '../domain/job';
import { AppError } from '../lib/errors';
import type { Chain } from './client';
import { emethCoreAbi } from './generated/emeth-core';
import { emethTokenAbi } from './generated/emeth-token';
import { nodeRegistryAbi } from './generated/node-registry';
import { rewardPoolAbi } from './generated/reward-pool';

export type SenderError =
  | { code: 'chain/reverted'; reason: string; args: string[]; key: string }
  | { code: 'chain/no-funds'; account: Address; key: string }
  | { code: 'chain/failed'; key: string };

const interfaces = [emethCoreAbi, emethTokenAbi, nodeRegistryAbi, rewardPoolAbi].map((abi) => new Interface(abi));

/** Why a transaction did not go through: the contract's own error by name and arguments, where there is one. */
export function explainFailure(error: unknown, key: string, account: Address): AppError<SenderError> {
  if (isError(error, 'INSUFFICIENT_FUNDS')) return noFunds(account, key, error);
  if (!isError(error, 'CALL_EXCEPTION')) {
    return new AppError(
      { code: 'chain/failed', key },
      `The transaction ${key} could not be sent; look whether the Ethereum node answers, and try again.`,
      { cause: error },
    );
  }
  const { data } = error;
  // Code that is not ours may revert without a word.
  const isNamed = data !== null && data.length >= '0x'.length + 8;
  const parsed = isNamed
    ? interfaces.map((known) => known.parseError(data)).find((found) => found !== null)
    : undefined;
  return reverted(key, parsed?.name ?? error.reason ?? 'no reason given', parsed?.args.map(String) ?? [], error);
}

/** Why a transaction reverted. The state that it met is over; to ask again, at the end of its block, tells the reason in most cases. */
export async function explainMined(
  { provider }: Pick<Chain, 'provider'>,
  call: { from: Address; to: string; data: string; value: bigint },
  receipt: { hash: string; blockNumber: number },
  key: string,
): Promise<AppError<SenderError>> {
  const reason = await provider.call({ ...call, blockTag: receipt.blockNumber }).then(
    () => undefined,
    (error: unknown) => explainFailure(error, key, call.from),
  );
  return reason?.code === 'chain/reverted' ? reason : reverted(key, `no reason given, in ${receipt.hash}`, []);
}

/** A refusal of the contract, by the error's name. */
export function reverted(key: string, reason: string, args: string[], cause?: unknown): AppError<SenderError> {
  const [act = key] = key.replace(/^0x[0-9a-f]+:/, '').split(':');
  const sentence = `The contract refuses ${act}: ${inWords(reason, args)}.`;
  return new AppError({ code: 'chain/reverted', reason, args, key }, sentence, { cause });
}

/** The refusals people meet, as sentences; any other by its name and arguments. */
function inWords(reason: string, args: readonly string[]): string {
  const state = (place: number) => chainStates[Number(args[place])] ?? args[place];
  switch (reason) {
    case 'EmethCore_WrongState':
      return `job ${args[0]} is ${state(1)}, and that needs ${state(2)} (${reason})`;
    case 'EmethCore_NotNode':
      return `job ${args[0]} is not held by ${args[1]}; use the configuration of the node that took it (${reason})`;
    case 'EmethCore_NotRequester':
      return `job ${args[0]} was not requested by ${args[1]}; use its requester's configuration (${reason})`;
    case 'EmethCore_NodeNotActive':
      return `node ${args[0]} is not registered and active; register it with \`emeth register-node\` (${reason})`;
    case 'EmethCore_TermsOutOfBounds':
      return `${decodeBytes32String(args[0] ?? '')} is ${args[1]}, and has to be from ${args[2]} to ${args[3]} (${reason})`;
    case 'NodeRegistry_NotOperator':
      return `${args[1]} does not own the organisation of node ${args[0]} (${reason})`;
    case 'NodeRegistry_NotOwner':
      return `${args[1]} does not own that organisation; take another name for yours (${reason})`;
    case 'NodeRegistry_TooEarly':
      return `node ${args[0]} has to wait until ${new Date(Number(args[1]) * 1000).toISOString()} (${reason})`;
    default:
      return args.length > 0 ? `${reason}(${args.join(', ')})` : reason;
  }
}

/** The account cannot pay for gas. */
export function noFunds(account: Address, key: string, cause?: unknown): AppError<SenderError> {
  return new AppError(
    { code: 'chain/no-funds', account, key },
    `${account} has too little ETH to pay for the transaction (${key}); send it some.`,
    { cause },
  );
}
