/** Which leases are audited, what audits come to, and who is not paid for it. */
import {
  type AuditableLease,
  auditChance,
  chooseAuditor,
  countTokens,
  type FinishedAudit,
  findingOf,
  hashSeed,
  isDrawn,
  reportAudits,
  toleranceOf,
} from '../../../src/domain/audit';
import { Address } from '../../../src/domain/ids';
import { sha256 } from '../../../src/lib/hash';

const [node, ann, bob, eve] = ['0a', '0b', '0c', '0d'].map((byte) => Address.parse(`0x${byte.repeat(20)}`)) as [
  Address,
  Address,
  Address,
  Address,
];
const seed = '5e'.repeat(32);
const drawn = (round: number, ordinal: number, rate = 0.05) =>
  isDrawn(seed, { jobId: `0x${'7'.repeat(32)}`, round, start: 8, ordinal }, rate);
/** A worker's leases 1, 2, … of 10 tokens, one in each round. */
const leasesOf = (worker: Address, count: number): AuditableLease[] =>
  Array.from({ length: count }, (_, round) => ({
    ...{ worker, round, start: worker === ann ? 0 : 100, tokens: 10 },
    ordinal: round + 1,
  }));
const audit = (lease: AuditableLease, auditor: Address, outcome: FinishedAudit['outcome']): FinishedAudit => ({
  ...{ round: lease.round, start: lease.start, tokens: lease.tokens },
  ...{ auditor, outcome },
});
const rounds = (refuted: ReadonlySet<string>) => [...refuted].map((key) => Number(key.split(':')[0]));

describe('draw', () => {
  test('first lease: always, later ones ever more rarely down to the rate', () => {
    expect([1, 2, 10, 20, 21, 1000].map((ordinal) => auditChance(0.05, ordinal))).toEqual([
      1, 0.5, 0.1, 0.05, 0.05, 0.05,
    ]);
    expect(drawn(3, 1, 0)).toBe(true);
  });

  test('many leases: about as many are drawn as the chance says', () => {
    const count = Array.from({ length: 10_000 }, (_, round) => drawn(round, 1000, 0.05)).filter(Boolean).length;
    expect(count).toBeGreaterThan(430);
    expect(count).toBeLessThan(570);
  });

  test('same seed and lease: the same draw; the seed is known by its hash', () => {
    const draw = () => Array.from({ length: 64 }, (_, round) => drawn(round, 3));
    expect(draw()).toEqual(draw());
    expect(hashSeed(seed)).toBe(sha256(Buffer.from(seed, 'hex')));
  });
});

describe('findings', () => {
  const by = (auditor: Address, outcome: FinishedAudit['outcome']) => ({ auditor, outcome });
  test.each([
    ['nobody has answered', [], 'undecided'],
    ['an auditor found the same', [by(bob, 'equal')], 'passed'],
    ['one word against another', [by(bob, 'different')], 'undecided'],
    ['the third agrees with the worker', [by(bob, 'different'), by(eve, 'equal')], 'passed'],
    ['the third agrees with the auditor', [by(bob, 'different'), by(eve, 'different')], 'failed'],
    ['the node itself found something else', [by(node, 'different')], 'failed'],
  ] as const)('%s: %s', (_, audits, finding) => {
    expect(findingOf(audits, node)).toBe(finding);
  });
});

describe('refuted leases', () => {
  test('caught at the fourth lease: unpaid since the last passed audit before it', () => {
    const own = leasesOf(ann, 5);
    const audits = [
      audit(own[1]!, bob, 'equal'),
      audit(own[3]!, bob, 'different'),
      audit(own[3]!, eve, 'different'),
      audit(own[4]!, bob, 'equal'),
    ];
    const { refuted, discredited } = reportAudits(own, audits, node);
    // The fifth was seen and found right.
    expect(rounds(refuted)).toEqual([2, 3]);
    expect([...discredited]).toEqual([ann]);
  });

  test('auditor alone with what it found: its own work since its last pass is unpaid', () => {
    const leases = [...leasesOf(ann, 1), ...leasesOf(bob, 3)];
    const audits = [
      audit(leases[0]!, bob, 'different'),
      audit(leases[0]!, eve, 'equal'),
      audit(leases[1]!, eve, 'equal'),
    ];
    const { refuted, discredited, auditTokens } = reportAudits(leases, audits, node);
    expect(rounds(refuted)).toEqual([1, 2]);
    expect([...discredited]).toEqual([bob]);
    expect([...auditTokens]).toEqual([[eve, 20]]);
  });

  test('one word against another: neither is paid, and neither is discredited', () => {
    const leases = [...leasesOf(ann, 2), ...leasesOf(bob, 2)];
    const { refuted, discredited } = reportAudits(leases, [audit(leases[1]!, bob, 'different')], node);
    expect(refuted.size).toBe(4);
    expect(discredited.size).toBe(0);
  });
});

test('tokens: merged, audited, held and paid; the node is not paid for audits', () => {
  const leases = [...leasesOf(ann, 3), ...leasesOf(bob, 3)];
  const audits = [
    audit(leases[1]!, bob, 'equal'),
    audit(leases[2]!, node, 'different'),
    audit(leases[3]!, node, 'equal'),
  ];
  expect(Object.fromEntries(countTokens(leases, audits, node))).toEqual({
    [ann]: { merged: 30, audited: 0, held: 10, paid: 20 },
    [bob]: { merged: 30, audited: 10, held: 20, paid: 40 },
  });
});

describe('auditor', () => {
  const candidate = (address: Address, ip: string, audits = 0) => ({ address, ip, audits });

  test('one at another address: it, although it has done more', () => {
    expect(chooseAuditor([candidate(bob, '10.0.0.1'), candidate(eve, '10.0.0.2', 5)], '10.0.0.1')).toBe(eve);
  });

  test('several alike: who has done the fewest, then by address', () => {
    expect(chooseAuditor([candidate(bob, '10.0.0.2', 1), candidate(eve, '10.0.0.3')], '10.0.0.1')).toBe(eve);
    expect(chooseAuditor([candidate(eve, '10.0.0.3'), candidate(bob, '10.0.0.2')], '10.0.0.1')).toBe(bob);
    expect(chooseAuditor([], '10.0.0.1')).toBeUndefined();
  });
});

test('tolerance: that of fp32 only where no side can have been a GPU', () => {
  const model = { dropout: 0 };
  const fp32 = toleranceOf({ precision: 'fp32', codec: 'fp32', model }, [undefined]);
  const auto = { precision: 'auto', codec: 'fp32', model } as const;
  expect(toleranceOf(auto, ['cpu', 'cpu'])).toBe(fp32);
  expect(toleranceOf(auto, ['cpu', 'cuda'])).toBeGreaterThan(fp32);
  expect(toleranceOf(auto, ['cpu', undefined])).toBeGreaterThan(fp32);
  expect(toleranceOf({ precision: 'fp32', codec: 'int8', model }, [])).toBeGreaterThan(fp32);
});

test('tolerance by codec: above what honest work differs by, below the smallest cheat', () => {
  const model = { dropout: 0 };
  // Distances of decoded updates that differ by 3.6e-4 and by 8.7e-3 before they are encoded.
  const measured = { int8: [2.3e-3, 1.1e-2], int4: [9.8e-3, 4.4e-2], int2: [1.5e-2, 6.7e-2], sparse: [5.4e-2, 0.25] };
  for (const [codec, [honest = 0, cheat = 0]] of Object.entries(measured)) {
    const tolerance = toleranceOf({ precision: 'fp32', codec: codec as keyof typeof measured, model }, []);
    expect(tolerance).toBeGreaterThan(1.5 * honest);
    expect(tolerance).toBeLessThan(cheat / 2);
  }
});

test('tolerance with dropout: no distance refutes anybody', () => {
  const model = { dropout: 0.1 };
  expect(toleranceOf({ precision: 'fp32', codec: 'fp32', model }, ['cpu', 'cpu'])).toBe(Number.POSITIVE_INFINITY);
});
