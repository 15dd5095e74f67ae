/** The base that a request names, compared with what it is to be used for, before anything is paid. */

import type { Account } from '../../app/account';
import { type LookedAtBase, lookAtBase } from '../../app/look-at-base';
import type { BaseFacts } from '../../blobs/base-facts';
import { sizeOfBase } from '../../domain/base-size';
import { MAX_DEVICE_BYTES, memoryBytesOf } from '../../domain/job-fit';
import { type BaseSize, modelSizeOf } from '../../domain/model-size';
import { AppError, errorCode } from '../../lib/errors';
import { formatBytes } from '../../lib/format-bytes';
import type { TunedParams } from '../../protocol/job-params';
import { type AskedParams, settleBase } from './request-plan';

export type BaseArgumentError =
  | { code: 'usage/bad-base'; base: string; reason: string }
  | { code: 'usage/base-too-large'; base: string; neededBytes: number; mostBytes: number }
  | { code: 'usage/context-too-long'; context: number; most: number };

/** A base that fits its job, and what the job came to ask for. */
export interface RequestedBase extends LookedAtBase {
  readonly size: BaseSize;
  readonly asked: AskedParams;
}

/** Trouble of a hub or a storage, which may be over the next time. */
const PASSING = /^base\/hub-away$/;

/**
 * Finds the base of a request. Throws `usage/bad-base` with the reason for one that no node would take, and
 * `usage/base-too-large` and `usage/context-too-long` for one that cannot be used as the parameters say.
 */
export async function findRequestedBase(
  asked: AskedParams,
  account: Account,
  options: { storage?: string | undefined },
): Promise<RequestedBase | undefined> {
  if (asked.params.tune === 'none') return undefined;
  const { base } = asked.params;
  const found = await lookAtBase(base, account, options, account.signal).catch((error) => {
    throw asUsage(base, error);
  });
  try {
    const settled = settleBase(asked, found.reference, found.facts.context);
    const params = settled.params as TunedParams;
    const size = sizeOf(found, params);
    requireContext(found, params);
    requireDevice(found, params, size);
    return { ...found, size, asked: settled };
  } catch (error) {
    await found[Symbol.asyncDispose]();
    throw error;
  }
}

function sizeOf({ facts, reference }: LookedAtBase, params: TunedParams): BaseSize {
  try {
    return sizeOfBase(facts, params);
  } catch (error) {
    throw asUsage(reference, error);
  }
}

function requireContext({ facts }: LookedAtBase, { model: { context } }: TunedParams): void {
  const { context: most } = facts;
  if (most === 0 || context <= most) return;
  throw new AppError<BaseArgumentError>(
    { code: 'usage/context-too-long', context, most },
    `model.context is ${context}, and the base reads at most ${most} tokens; ask for that many or fewer.`,
  );
}

/** Throws `usage/base-too-large` for a model that no device has the memory to train. */
export function requireDevice(
  { reference: base, facts }: { reference: string; facts: Pick<BaseFacts, 'vocabSize'> },
  params: TunedParams,
  size: BaseSize,
): void {
  const neededBytes = memoryBytesOf(modelSizeOf(params, facts.vocabSize, size));
  if (neededBytes <= MAX_DEVICE_BYTES) return;
  const lighter = params.tune === 'full' ? ' (an adapter needs less: --tune lora)' : '';
  throw new AppError<BaseArgumentError>(
    { code: 'usage/base-too-large', base, neededBytes, mostBytes: MAX_DEVICE_BYTES },
    `${base} needs about ${formatBytes(neededBytes)} on a device, and no device has more than ${formatBytes(MAX_DEVICE_BYTES)}; take a smaller base${lighter}.`,
  );
}

/** What is wrong with a base is the request's fault, and ends the command as such. */
function asUsage(base: string, error: unknown): unknown {
  const reason = errorCode(error);
  if (!reason.startsWith('base/') || PASSING.test(reason)) return error;
  const { message } = error as Error;
  return new AppError<BaseArgumentError>({ code: 'usage/bad-base', base, reason }, message, { cause: error });
}
