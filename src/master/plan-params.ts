/** Settles what a job's request leaves open, by its model, its length and the workers that are idle. */
import { chooseCodec } from '../domain/codec-choice';
import { withMemory, workOf } from '../domain/job-fit';
import type { ModelSize } from '../domain/model-size';
import { blockFlops } from '../domain/standing';
import type { NumberedParams } from '../protocol/job-params';
import { settleJobParams } from './params';
import type { JobPlan } from './plan';
import type { JobFleet } from './ports';

/** What is settled of a plan. */
export type PlannedParams = Pick<JobPlan, 'params' | 'codecWhy'>;

/** Returns the parameters that such a job is trained with. Throws `params/invalid`. */
export function planParams(
  asked: NumberedParams,
  { size, blocks }: { size: ModelSize; blocks: number },
  { fleet, cooperative }: { fleet: Pick<JobFleet, 'idle'>; cooperative: '1v1' | 'nvm' },
): PlannedParams {
  const idle = withMemory(fleet.idle(), size);
  const workers = cooperative === '1v1' ? 1 : Math.max(1, idle.length);
  const params = settleJobParams(asked, { blocks, workers, autoCodec: 'int8' });
  if (asked.codec !== 'auto') return { params };
  const blockTokens = asked.batch * asked.model.context;
  const flops =
    params.round.steps * blockFlops({ parameters: workOf(size, blockTokens, blockTokens).parameters, blockTokens });
  const measured = idle.map(({ measuredGflops, ...link }) => ({ ...link, gflops: measuredGflops }));
  const { codec, why } = chooseCodec(measured, { ...size, gflop: flops / 1e9 });
  return { params: { ...params, codec }, codecWhy: why };
}
