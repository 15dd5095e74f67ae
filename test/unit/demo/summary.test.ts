import { renderJob } from '../../../src/demo/live-view';
import { type DemoSummary, findShortfalls } from '../../../src/demo/summary';
import { JobDetails } from '../../../src/protocol/admin';

const balance = (role: string, before: string, after: string) => ({ role, address: '0x', before, after });
const good: DemoSummary = {
  jobId: '0x',
  status: 'VERIFIED',
  rounds: 2,
  seconds: 1,
  validationLoss: { start: 5.5, end: 1.9 },
  ledger: { blocks: 10, epochs: 1, minMerged: 1, maxMerged: 1 },
  rewards: [{ slot: 20_000, amountWei: '3' }],
  balances: [
    balance('requester', '100', '79'),
    balance('node', '0', '5'),
    balance('worker 1', '0', '18'),
    balance('verifier', '0', '1'),
  ],
  modelDir: 'x',
  sample: 'text',
};

describe('findShortfalls', () => {
  test('default: nothing', () => {
    expect(findShortfalls(good)).toEqual([]);
  });

  test.each<[string, Partial<DemoSummary>, RegExp]>([
    ['the job was not verified', { status: 'FAILED' }, /FAILED/],
    ['a block was merged twice', { ledger: { ...good.ledger, maxMerged: 2 } }, /merged 1 to 2/],
    ['a block was not merged', { ledger: { ...good.ledger, minMerged: 0 } }, /merged 0 to 1/],
    ['the model learnt nothing', { validationLoss: { start: 5, end: 5 } }, /did not fall/],
    ['the loss is no number', { validationLoss: { start: 5, end: Number.NaN } }, /did not fall/],
    [
      'a wei is missing',
      { balances: good.balances.map((b, i) => (i === 0 ? { ...b, after: '78' } : b)) },
      /do not add up/,
    ],
    [
      'a worker was not paid',
      { balances: good.balances.map((b, i) => (i === 2 ? balance(b.role, '18', '18') : b)) },
      /not paid|add up/,
    ],
    ['the node got no reward', { rewards: [] }, /no reward/],
    ['the model says nothing', { sample: '  ' }, /wrote nothing/],
  ])('when %s', (_name, change, problem) => {
    expect(findShortfalls({ ...good, ...change }).join()).toMatch(problem);
  });
});

test('the live view shows the bar, the figures and a line per worker', () => {
  const worker = { address: `0x${'a'.repeat(40)}`, ip: '', gflops: 1 };
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
  });
  const [bar, first, second] = renderJob(job);
  expect(bar).toMatch(/█{14}░{14} {2}50% {2}round 3 {2}loss 2\.500 {2}val – {2}12,345 tok\/s {2}ETA 1m05s/);
  expect(first).toMatch(/step 7\/50 {2}loss 2\.250 {2}9,000 tok\/s/);
  expect(second).toMatch(/away/);
});
