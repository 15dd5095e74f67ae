/** What the demo calls a shortfall: each check fails for the summary that breaks it. */

import { countAudits, type DemoSummary, findShortfalls } from '../../../src/demo/summary';
import { Address, Sha256 } from '../../../src/domain/ids';

const balance = (role: string, before: string, after: string) => ({ role, address: '0x', before, after });
const good: DemoSummary = {
  jobId: '0x',
  status: 'VERIFIED',
  rounds: 2,
  seconds: 1,
  validationLoss: { start: 5.5, end: 1.9 },
  ledger: { blocks: 10, epochs: 1, minMerged: 1, maxMerged: 1 },
  audits: { leases: 10, drawn: 3, passed: 3, failed: 0 },
  cheats: [],
  utilisation: [{ role: 'worker 1', part: 0.95 }],
  rewards: [{ slot: 20_000, amountWei: '3' }],
  balances: [
    balance('requester', '100', '79'),
    balance('node', '0', '5'),
    balance('worker 1', '0', '18'),
    balance('verifier', '0', '1'),
  ],
  modelDir: 'x',
  loadedBy: 'y',
  sample: 'text',
};

const cheat = { kind: 'zeros', address: '0xc', notes: ['Update rejected'], mergedTokens: 5, paidTokens: 0 };

test('leases done again: counted once each, by what was found', () => {
  const [node, other] = [Address.parse(`0x${'ad'.repeat(20)}`), Address.parse(`0x${'11'.repeat(20)}`)];
  const audit = { round: 0, tokens: 64, distance: 0, auditor: other, update: Sha256.parse('0'.repeat(64)) };
  const audits = [
    { ...audit, start: 0, outcome: 'equal' as const },
    { ...audit, start: 5, outcome: 'different' as const },
    { ...audit, start: 5, outcome: 'different' as const, auditor: node },
  ];
  const counts = countAudits({ rounds: [{ leases: [1, 2] }, { leases: [3] }], audits, node });
  expect(counts).toEqual({ leases: 3, drawn: 2, passed: 1, failed: 1 });
});

describe('findShortfalls', () => {
  test('a good summary: nothing fell short', () => {
    expect(findShortfalls(good)).toEqual([]);
  });

  test('a cheat that was noticed and not paid: nothing fell short', () => {
    expect(findShortfalls({ ...good, cheats: [cheat] })).toEqual([]);
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
    ['a cheat was not noticed', { cheats: [{ ...cheat, notes: [] }] }, /nothing was noticed of the cheat zeros/],
    [
      'a cheat was paid',
      { cheats: [cheat], balances: [...good.balances, { ...balance('cheat 1', '0', '10'), address: cheat.address }] },
      /zeros was paid 10 wei/,
    ],
    ['the model says nothing', { sample: '  ' }, /wrote nothing/],
  ])('%s: is named', (_name, change, problem) => {
    expect(findShortfalls({ ...good, ...change }).join()).toMatch(problem);
  });
});
