/** What the demo calls a shortfall: each check fails for the summary that breaks it. */
import { type DemoSummary, findShortfalls } from '../../../src/demo/summary';

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
  test('a good summary: nothing fell short', () => {
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
  ])('%s: is named', (_name, change, problem) => {
    expect(findShortfalls({ ...good, ...change }).join()).toMatch(problem);
  });
});
