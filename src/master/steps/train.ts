/** training → exporting: runs rounds until every block is merged. */

import { crashPoint } from '../../lib/crash-point';
import { runRounds } from '../training';
import type { StepContext, StepResult } from './step';

export async function trainJob(job: Pick<StepContext, 'openContext'>): Promise<StepResult<'training'>> {
  await runRounds(await job.openContext());
  crashPoint('training.done');
  return { to: 'exporting' };
}
