import { Interface, isError } from 'ethers';
import type { Address } from '../domain/ids';
import { AppError } from '../lib/errors';
import { emethCoreAbi } from './generated/emeth-core';
import { emethTokenAbi } from './generated/emeth-token';

export type SenderError =
  | { code: 'chain/reverted'; reason: string; args: string[]; key: string }
  | { code: 'chain/no-funds'; account: Address; key: string }
  | { code: 'chain/failed'; key: string };

const interfaces = [new Interface(emethCoreAbi), new Interface(emethTokenAbi)];

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
  const parsed = data ? interfaces.map((known) => known.parseError(data)).find((found) => found !== null) : undefined;
  return reverted(key, parsed?.name ?? error.reason ?? 'no reason given', parsed?.args.map(String) ?? [], error);
}

/** A refusal of the contract, by the error's name. */
export function reverted(key: string, reason: string, args: string[], cause?: unknown): AppError<SenderError> {
  const shown = args.length > 0 ? `${reason}(${args.join(', ')})` : reason;
  return new AppError({ code: 'chain/reverted', reason, args, key }, `The contract refuses ${key}: ${shown}.`, {
    cause,
  });
}

/** The account cannot pay for gas. */
export function noFunds(account: Address, key: string, cause?: unknown): AppError<SenderError> {
  return new AppError(
    { code: 'chain/no-funds', account, key },
    `${account} has too little ETH to pay for the transaction (${key}); send it some.`,
    { cause },
  );
}
