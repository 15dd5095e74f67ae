/** Which submitted jobs a verifier still has to read. */
import { DueJobs } from '../../../src/app/due-jobs';
import type { JobId } from '../../../src/domain/ids';
import { silentLogger } from '../../../src/lib/logger';
import { jobId } from '../../support/worker-messages';

test('chain fails for one job: it is handed on later, the others at once, each once', async () => {
  const handed: JobId[] = [];
  let isAway = true;
  const due = new DueJobs({
    logger: silentLogger,
    async handOn(id) {
      if (isAway && id === jobId('1')) throw new Error('no answer');
      handed.push(id);
    },
  });
  for (const digit of ['1', '2', '1']) due.add(jobId(digit));
  await due.look();
  expect(handed).toEqual([jobId('2')]);
  isAway = false;
  await due.look();
  await due.look();
  expect(handed).toEqual([jobId('2'), jobId('1')]);
});
