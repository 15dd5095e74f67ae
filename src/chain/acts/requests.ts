/** Job requests: what one asks for, which id it will have, and those inside a transaction. */
import { AbiCoder, id, keccak256 } from 'ethers';
import { type Address, JobId } from '../../domain/ids';
import { type CoreEvent, decodeEvent } from '../contract/events';
import type { Chain } from '../rpc/client';

export interface JobRequest {
  dataset: string;
  params: string;
  feeWei: bigint;
  fuelLimit: bigint;
  deadlineMs: number;
}

export type Requested = Extract<CoreEvent, { type: 'JobRequested' }>;

/** Returns the deadline as the contract has it, in Unix seconds. */
export function deadlineOf({ deadlineMs }: JobRequest): bigint {
  return BigInt(Math.floor(deadlineMs / 1000));
}

/** Returns the id that the contract gives to a request, which is known before it is mined. */
export function jobIdOf(
  { chainId, core }: Pick<Chain, 'chainId' | 'core'>,
  requester: Address,
  job: JobRequest,
  salt: string,
): JobId {
  const spec = hash(
    ['bytes32', 'bytes32', 'uint96', 'uint40', 'uint40'],
    [id(job.dataset), id(job.params), job.feeWei, job.fuelLimit, deadlineOf(job)],
  );
  const whole = hash(['uint256', 'address', 'address', 'bytes32', 'bytes32'], [chainId, core, requester, salt, spec]);
  return JobId.parse(whole.slice(0, 34));
}

/** Returns the requests that a transaction made to the contract; none while it is not mined. */
export async function requestsIn(chain: Chain, txHash: string): Promise<Requested[]> {
  const receipt = await chain.provider.getTransactionReceipt(txHash);
  const own = (receipt?.logs ?? []).filter(({ address }) => address.toLowerCase() === chain.core);
  return own.flatMap((log) => decodeEvent(log) ?? []).filter((event) => event.type === 'JobRequested');
}

function hash(types: readonly string[], values: readonly unknown[]): string {
  return keccak256(AbiCoder.defaultAbiCoder().encode(types, values));
}
