/** Turns the failure of a transaction into an error that names the contract's own reason. */
import { Interface, isError } from 'ethers';
import type { Address } from '../../domain/ids';
import { AppError, describeError } from '../../lib/errors';
import { emethCoreAbi } from '../generated/emeth-core';
import { emethTokenAbi } from '../generated/emeth-token';
import { nodeRegistryAbi } from '../generated/node-registry';
import { rewardPoolAbi } from '../generated/reward-pool';
import type { Chain } from '../rpc/client';
import { refusalInWords } from './refusals';

export type SenderError =
  | { code: 'chain/reverted'; reason: string; args: string[]; key: string }
  | { code: 'chain/out-of-gas'; gasLimit: bigint; key: string }
  | { code: 'chain/no-funds'; account: Address; key: string }
  | { code: 'chain/failed'; key: string };

const interfaces = [emethCoreAbi, emethTokenAbi, nodeRegistryAbi, rewardPoolAbi].map((abi) => new Interface(abi));

/**
 * Returns the error for a call that failed: the contract's own error by name and arguments, if there is one.
 */
export function explainFailure(error: unknown, key: string, account: Address): AppError<SenderError> {
  if (isError(error, 'INSUFFICIENT_FUNDS')) return noFunds(account, key, error);
  if (!isError(error, 'CALL_EXCEPTION')) {
    return new AppError(
      { code: 'chain/failed', key },
      `The transaction ${actOf(key)} could not be prepared: ${nodeWords(error) ?? describeError(error)}; try again when a node serves it.`,
      { cause: error },
    );
  }
  const { data } = error;
  // Other contracts may revert without a reason.
  const isNamed = data !== null && data.length >= '0x'.length + 8;
  const parsed = isNamed
    ? interfaces.map((known) => known.parseError(data)).find((found) => found !== null)
    : undefined;
  return reverted(key, parsed?.name ?? error.reason ?? 'no reason given', parsed?.args.map(String) ?? [], error);
}

/**
 * Returns the error for a mined transaction that failed. Of one that was reverted, the state is gone, but
 * calling again at the end of its block yields the reason in most cases.
 */
export async function explainMined(
  { provider }: Pick<Chain, 'provider'>,
  call: { from: Address; to: string; data: string; value: bigint; gasLimit: bigint },
  receipt: { hash: string; blockNumber: number; gasUsed: bigint },
  key: string,
): Promise<AppError<SenderError>> {
  const { gasLimit, ...act } = call;
  if (receipt.gasUsed * 64n >= gasLimit * 63n) return outOfGas(key, gasLimit);
  const reason = await provider.call({ ...act, blockTag: receipt.blockNumber }).then(
    () => undefined,
    (error: unknown) => explainFailure(error, key, call.from),
  );
  return reason?.code === 'chain/reverted' ? reason : reverted(key, `no reason given, in ${receipt.hash}`, []);
}

/** Returns a node's own words out of an error of ethers; undefined when no node has answered. */
export function nodeWords(error: unknown): string | undefined {
  const { info, error: answered } = error as { info?: { error?: { message?: string } }; error?: { message?: string } };
  return answered?.message ?? info?.error?.message;
}

/**
 * Returns the error for a transaction that has used up its gas limit: a call inside it keeps one 64th for its
 * caller.
 */
function outOfGas(key: string, gasLimit: bigint): AppError<SenderError> {
  return new AppError(
    { code: 'chain/out-of-gas', gasLimit, key },
    `The transaction ${actOf(key)} ran out of gas: it used up its limit of ${gasLimit}, and nothing was done. ` +
      'Run it again; its limit is then estimated anew.',
  );
}

/** Returns an act's name for people: its key without job id and number. */
export function actOf(key: string): string {
  return key.replace(/^0x[0-9a-f]+:/, '').split(':')[0] ?? key;
}

/** Returns the error for a refusal by the contract. */
export function reverted(key: string, reason: string, args: string[], cause?: unknown): AppError<SenderError> {
  const sentence = `The contract refuses ${actOf(key)}: ${refusalInWords(reason, args)}.`;
  return new AppError({ code: 'chain/reverted', reason, args, key }, sentence, { cause });
}

/** Returns the error for an account that cannot pay for gas. */
export function noFunds(account: Address, key: string, cause?: unknown): AppError<SenderError> {
  return new AppError(
    { code: 'chain/no-funds', account, key },
    `${account} has too little ETH to pay for the transaction (${key}); send it some.`,
    { cause },
  );
}
