/** Parameters as they are once a job is planned: for tests that name few of them. */
import { JobParams, type ResolvedParams } from '../../src/protocol/job-params';
import { settleParams } from '../../src/protocol/settle-params';

/** Returns what a small job with these parameters is trained with. */
export function plannedParams(asked: object): ResolvedParams {
  const parsed = JobParams.parse(asked);
  const numbered = { ...parsed, epochs: parsed.epochs ?? 1, batch: parsed.batch ?? 8 };
  return settleParams(numbered, { blocks: 100, workers: 1, autoCodec: 'int8' });
}
