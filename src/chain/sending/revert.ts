import { Interface, isError } from 'ethers';
import type { Address } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { emethCoreAbi } from '../generated/emeth-core';
import { emethTokenAbi } from '../generated/emeth-token';
import { nodeRegistryAbi } from '../generated/node-registry';
import { rewardPoolAbi } from '../generated/reward-pool';
import type { Chain } from '../rpc/client';
import { refusalInWords } from './refusals';

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
  const sentence = `The contract refuses ${act}: ${refusalInWords(reason, args)}.`;
  return new AppError({ code: 'chain/reverted', reason, args, key }, sentence, { cause });
}

/** The account cannot pay for gas. */
export function noFunds(account: Address, key: string, cause?: unknown): AppError<SenderError> {
  return new AppError(
    { code: 'chain/no-funds', account, key },
    `${account} has too little ETH to pay for the transaction (${key}); send it some.`,
    { cause },
  );
}
