/** Parsers of command line arguments: ids, addresses and states. */
import type { z } from 'zod';
import { Address, JobId } from '../domain/ids';
import { type ChainState, chainStates, type JobState, jobNext } from '../domain/job';
import { AppError } from '../lib/errors';

export type UsageError = { code: 'usage/bad-argument'; text: string };

/** Parses a job id. Throws `usage/bad-argument`. */
export function parseJobId(text: string): JobId {
  return parseWith(JobId, text);
}

/**
 * Parses an address with 0x, with 0X as some wallets print it, or with neither. Throws `usage/bad-argument`.
 */
export function parseAddress(text: string): Address {
  return parseWith(Address, text.replace(/^(0[xX])?(?=[0-9a-fA-F]{40}$)/, '0x'));
}

/** Parses a job's state on chain, upper or lower case. Throws `usage/bad-argument`. */
export function parseChainState(text: string): ChainState {
  const state = chainStates.find((name) => name === text.toUpperCase());
  if (state) return state;
  throw new AppError<UsageError>(
    { code: 'usage/bad-argument', text },
    `${text} is not a state of a job on chain; the states are ${chainStates.join(', ')}.`,
  );
}

/** Parses a job's state in a master's queue, upper or lower case. Throws `usage/bad-argument`. */
export function parseJobState(text: string): JobState {
  const states = Object.keys(jobNext) as JobState[];
  const state = states.find((name) => name === text.toLowerCase());
  if (state) return state;
  throw new AppError<UsageError>(
    { code: 'usage/bad-argument', text },
    `${text} is not a state of a job in a master's queue; the states are ${states.join(', ')}.`,
  );
}

function parseWith<S extends z.ZodType>(schema: S, text: string): z.output<S> {
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  const hint = parsed.error.issues[0]?.message ?? 'it has the wrong form';
  throw new AppError<UsageError>({ code: 'usage/bad-argument', text }, `${text} cannot be used: ${hint}.`);
}
