import { Interface, type Log } from 'ethers';
import { Address, JobId } from '../domain/ids';
import { type EmethCoreEvents, emethCoreAbi } from './generated/emeth-core';

export const coreInterface = new Interface(emethCoreAbi);

interface Place {
  blockNumber: number;
  blockHash: string;
  txHash: string;
  logIndex: number;
}

type Decoded = {
  [Name in keyof EmethCoreEvents]: { type: Name; args: EmethCoreEvents[Name] };
}[keyof EmethCoreEvents];

/** Events of jobs, in our words; the rest of the contract's events are nobody's business here yet. */
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
    | { type: 'JobCanceled' | 'JobExpired' | 'JobTimedOut' | 'JobVerified' | 'JobRejected' | 'JobUnwound' }
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

/** The event in a log of the contract; undefined for one that is not about a job. */
export function decodeEvent(log: Log): CoreEvent | undefined {
  const parsed = coreInterface.parseLog(log);
  if (!parsed) return undefined;
  const decoded = { type: parsed.name, args: parsed.args.toObject() } as unknown as Decoded;
  const place = {
    blockNumber: log.blockNumber,
    blockHash: log.blockHash,
    txHash: log.transactionHash,
    logIndex: log.index,
  };
  return translate(decoded, place);
}

function translate(event: Decoded, place: Place): CoreEvent | undefined {
  switch (event.type) {
    case 'JobRequested': {
      const { requester, fee, fuelLimit, deadline, dataset, params } = event.args;
      return {
        ...base(event, place),
        type: event.type,
        requester: Address.parse(requester),
        feeWei: fee,
        fuelLimit,
        deadlineMs: Number(deadline) * 1000,
        dataset,
        params,
      };
    }
    case 'JobProcessing':
      return { ...base(event, place), type: event.type, node: Address.parse(event.args.node) };
    case 'JobDeclined': {
      const { node, reopened } = event.args;
      return { ...base(event, place), type: event.type, node: Address.parse(node), reopened };
    }
    case 'JobSubmitted': {
      const { node, resultHash, payoutRoot, fuelUsed, payout, result } = event.args;
      return {
        ...base(event, place),
        type: event.type,
        node: Address.parse(node),
        resultHash,
        payoutRoot,
        fuelUsed,
        payoutWei: payout,
        result,
      };
    }
    case 'JobChallenged':
      return { ...base(event, place), type: event.type, challenger: Address.parse(event.args.challenger) };
    case 'WorkerPaid': {
      const { worker, index, amount } = event.args;
      return {
        ...base(event, place),
        type: event.type,
        worker: Address.parse(worker),
        index: Number(index),
        amountWei: amount,
      };
    }
    case 'JobCanceled':
    case 'JobExpired':
    case 'JobTimedOut':
    case 'JobVerified':
    case 'JobRejected':
    case 'JobUnwound':
      return { ...base(event, place), type: event.type };
    default:
      return undefined;
  }
}

function base(event: { args: { jobId: string } }, place: Place): Place & { jobId: JobId } {
  return { ...place, jobId: JobId.parse(event.args.jobId) };
}
