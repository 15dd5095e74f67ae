/** The contract's events about jobs in the types of this project; all other events are left out. */
import { Interface, type Log } from 'ethers';
import type { Address, JobId } from '../../domain/ids';
import { emethCoreAbi } from '../generated/emeth-core';
import { type ContractEvent, readEvent } from './event-reader';

export const coreInterface = new Interface(emethCoreAbi);

/** Position of an event in the chain. */
export interface Place {
  blockNumber: number;
  blockHash: string;
  txHash: string;
  logIndex: number;
}

/** An event about a job. */
export type CoreEvent = Place & { jobId: JobId } & (
    | {
        type: 'JobRequested';
        requester: Address;
        feeWei: bigint;
        fuelLimit: bigint;
        deadlineMs: number;
        dataset: string;
        params: string;
      }
    | { type: 'JobCanceled' | 'JobExpired' | 'JobTimedOut' | 'JobVerified' | 'JobUnwound' }
    /** The reason is the beginning of the evidence's sha256. */
    | { type: 'JobRejected'; reasonHash: string }
    | { type: 'JobChallenged'; challenger: Address }
    | { type: 'JobProcessing'; node: Address }
    | { type: 'JobDeclined'; node: Address; reopened: boolean }
    | {
        type: 'JobSubmitted';
        node: Address;
        resultHash: string;
        payoutRoot: string;
        fuelUsed: bigint;
        payoutWei: bigint;
        result: string;
      }
    | { type: 'WorkerPaid'; worker: Address; index: number; amountWei: bigint }
  );

/**
 * Returns the event in a log from ethers; undefined for one that is not about a job. Throws a `LogError` for
 * a log that the contract cannot have written.
 */
export function decodeEvent(log: Log): CoreEvent | undefined {
  const { blockNumber, blockHash, transactionHash: txHash, index: logIndex } = log;
  const event = readEvent(log, { txHash, logIndex });
  return event && translate(event, { blockNumber, blockHash, txHash, logIndex });
}

/**
 * Translates an event of the contract; undefined for one that is not about a job. Ids and addresses are not
 * validated again: the reader has just formed them, and a second check takes three times as long as reading.
 */
export function translate(event: ContractEvent, place: Place): CoreEvent | undefined {
  switch (event.type) {
    case 'JobRequested': {
      const { requester, fee, fuelLimit, deadline, dataset, params } = event.args;
      return {
        ...base(event, place),
        type: event.type,
        requester: requester as Address,
        feeWei: fee,
        fuelLimit,
        deadlineMs: Number(deadline) * 1000,
        dataset,
        params,
      };
    }
    case 'JobProcessing':
      return { ...base(event, place), type: event.type, node: event.args.node as Address };
    case 'JobDeclined': {
      const { node, reopened } = event.args;
      return { ...base(event, place), type: event.type, node: node as Address, reopened };
    }
    case 'JobSubmitted': {
      const { node, resultHash, payoutRoot, fuelUsed, payout, result } = event.args;
      return {
        ...base(event, place),
        type: event.type,
        node: node as Address,
        resultHash,
        payoutRoot,
        fuelUsed,
        payoutWei: payout,
        result,
      };
    }
    case 'JobRejected':
      return { ...base(event, place), type: event.type, reasonHash: event.args.reasonHash };
    case 'JobChallenged':
      return { ...base(event, place), type: event.type, challenger: event.args.challenger as Address };
    case 'WorkerPaid': {
      const { worker, index, amount } = event.args;
      return {
        ...base(event, place),
        type: event.type,
        worker: worker as Address,
        index: Number(index),
        amountWei: amount,
      };
    }
    case 'JobCanceled':
    case 'JobExpired':
    case 'JobTimedOut':
    case 'JobVerified':
    case 'JobUnwound':
      return { ...base(event, place), type: event.type };
    default:
      return undefined;
  }
}

function base(event: { args: { jobId: string } }, place: Place): Place & { jobId: JobId } {
  return { ...place, jobId: event.args.jobId as JobId };
}
