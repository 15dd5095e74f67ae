/** Gives a request's open values the ones that are usual for so much work. */
import type { Codec } from '../domain/codec';
import { areUsual, settleValues, type WorkFacts } from '../domain/usual-values';
import type { JobParams, NumberedParams, ResolvedParams } from './job-params';

/** What is known of a job beside its request, when it is planned. */
export interface SettleFacts extends Pick<WorkFacts, 'blocks' | 'workers'> {
  /** What `auto` comes to. */
  autoCodec: Codec;
}

/** Returns the parameters that a job is trained with. What its requester names stays as it is. */
export function settleParams(asked: NumberedParams, { autoCodec, ...facts }: SettleFacts): ResolvedParams {
  const { round, inner, outer } = settleValues(asked, { ...facts, ...kindOf(asked) });
  return {
    ...asked,
    round,
    inner: { ...asked.inner, ...inner },
    outer,
    codec: asked.codec === 'auto' ? autoCodec : asked.codec,
  };
}

/** Returns whether a node may have settled the open values of a request so. */
export function mayBeSettled(asked: JobParams, trained: ResolvedParams, blocks: number): boolean {
  return areUsual(trained, asked, { blocks, ...kindOf(asked) });
}

function kindOf({ tune, inner: { optimiser } }: JobParams): Pick<WorkFacts, 'tune' | 'optimiser'> {
  return { tune, optimiser };
}
