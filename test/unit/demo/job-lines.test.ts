/** The lines of a running job. */
import { renderJob } from '../../../src/demo/job-lines';
import { JobDetails } from '../../../src/protocol/admin';

test('running job: shows the bar, the figures and a line per worker', () => {
  const worker = { address: `0x${'a'.repeat(40)}`, ip: '', gflops: 1, announcedGflops: 1 };
  const job = JobDetails.parse({
    jobId: `0x${'1'.repeat(32)}`,
    state: 'training',
    chainState: 'PROCESSING',
    requester: worker.address,
    dataset: '',
    feeWei: '1',
    deadlineMs: 1,
    progress: {
      round: 3,
      mergedBlocks: 50,
      totalBlocks: 100,
      loss: 2.5,
      startLoss: 5.5,
      tokensPerSecond: 12_345,
      etaSeconds: 65,
    },
    rounds: [],
    workers: [
      { ...worker, connected: true, step: 7, steps: 50, loss: 2.25, tokensPerSecond: 9000 },
      { ...worker, connected: false },
    ],
    history: [],
    audits: { drawn: 0, passed: 0, failed: 0 },
    evidenceRequests: [],
  });
  const [bar, first, second] = renderJob(job);
  expect(bar).toMatch(/█{14}░{14} {2}50% {2}round 3 {2}loss 2\.500 {2}val – {2}12,345 tok\/s {2}ETA 1m05s/);
  expect(first).toMatch(/step 7\/50 {2}loss 2\.250 {2}9,000 tok\/s/);
  expect(second).toMatch(/away/);
});
