/** Folds that become final or are replaced, and the audits of their leases, on both databases. */
import { Address, JobId, Sha256 } from '../../../src/domain/ids';
import type { Store } from '../../../src/store/open';
import { describeEachDatabase } from '../../support/each-database';

const jobId = (n: number) => JobId.parse(`0x${n.toString(16).padStart(32, '0')}`);
const address = (n: number) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);
const sha = (n: number) => Sha256.parse(n.toString(16).padStart(64, '0'));
const work = (n: number) => ({
  ...{ update: { sha256: sha(n), bytes: 10 }, tokens: 100, loss: 1, lossCurve: [1], seconds: 1 },
  endTheta: sha(50 + n),
});
const id = jobId(1);
const fold = { jobId: id, round: 0, nextTheta: sha(2), delta: sha(3), outer: sha(4), scale: 1 };
const receipt = {
  ...{ worker: address(1), tokens: 100, totalTokens: 100, auditTokens: 0, heldTokens: 100 },
  expectedWei: 2n ** 90n,
};
const confirmation = { jobId: id, round: 0, validationLoss: 4, resetsOuter: true };

describeEachDatabase('audits', (database) => {
  let store: Store;
  beforeEach(async () => {
    store = await database.open();
    await store.ledger.initialise(id, 30);
    await store.rounds.open(id, 0, sha(1));
    for (const n of [1, 2]) {
      const leaseId = `l${n}`;
      await store.ledger.grant({ leaseId, jobId: id, round: 0, worker: address(n), blocks: 10, expiresAtMs: 9 });
      await store.ledger.setShard(leaseId, sha(20 + n));
      await store.ledger.commit(leaseId, address(n), work(10 + n));
    }
    await store.rounds.fold({
      ...fold,
      leases: [
        { leaseId: 'l1', weight: 0.5 },
        { leaseId: 'l2', weight: 0.5, mustAudit: true },
      ],
    });
  });

  test('fold confirmed: final once, with ordinals, draws and receipts', async () => {
    expect(await store.rounds.latest(id)).toMatchObject({ isConfirmed: false, resetsOuter: false });
    const leases = [
      { leaseId: 'l1', ordinal: 7, isDrawn: true },
      { leaseId: 'l2', ordinal: 1, isDrawn: false },
    ];
    const receipts = [{ receipt, signature: '0x12' }];
    await store.rounds.confirm({ ...confirmation, leases, receipts });
    await store.rounds.confirm({ ...confirmation, validationLoss: 5, leases: [], receipts });
    expect(await store.rounds.latest(id)).toMatchObject({ isConfirmed: true, resetsOuter: true, validationLoss: 4 });
    // One is drawn, the other was flagged when it was folded.
    expect((await store.audits.drawn(id)).map(({ leaseId }) => leaseId)).toEqual(['l1', 'l2']);
    expect(await store.audits.merged(id)).toMatchObject([
      { worker: address(1), round: 0, start: 0, tokens: 100, ordinal: 7 },
      { worker: address(2), start: 10, ordinal: 1 },
    ]);
    expect([await store.audits.lastOrdinal(address(1)), await store.audits.lastOrdinal(address(3))]).toEqual([7, 0]);
  });

  test('fold replaced: blocks left out and the next round are available again', async () => {
    await store.rounds.open(id, 1, sha(2));
    await store.ledger.grant({ leaseId: 'l3', jobId: id, round: 1, worker: address(3), blocks: 10, expiresAtMs: 9 });
    expect(await store.ledger.available(id)).toBe(0);
    const leases = [{ leaseId: 'l1', weight: 1 }];
    await store.rounds.refold({ ...fold, nextTheta: sha(6), leases, dropped: ['l2'], reason: 'it spoilt the model' });
    expect(await store.ledger.available(id)).toBe(20);
    expect(await store.ledger.merged(id)).toBe(10);
    expect(await store.rounds.latest(id)).toMatchObject({ round: 0, nextTheta: sha(6), isConfirmed: false });
    expect(await store.ledger.findLease('l2')).toMatchObject({ state: 'released', reason: 'it spoilt the model' });
    expect(await store.ledger.findLease('l1')).toMatchObject({ state: 'merged', weight: 1 });
  });

  test('fold that is final: it cannot be replaced', async () => {
    await store.rounds.confirm({ ...confirmation, leases: [], receipts: [] });
    await expect(store.rounds.refold({ ...fold, leases: [], dropped: ['l2'], reason: '' })).rejects.toMatchObject({
      code: 'store/round-confirmed',
    });
    expect(await store.ledger.merged(id)).toBe(20);
  });

  test('audit recorded twice by one auditor: its first word stays', async () => {
    const audit = { leaseId: 'l1', round: 0, start: 0, auditor: address(2), update: sha(30), tokens: 100 };
    await store.audits.record(id, { ...audit, distance: 0.5, outcome: 'different' });
    await store.audits.record(id, { ...audit, distance: 0, outcome: 'equal' });
    await store.audits.record(id, { ...audit, auditor: address(3), distance: 0, outcome: 'equal' });
    expect(await store.audits.list(id)).toMatchObject([
      { auditor: address(2), distance: 0.5, outcome: 'different' },
      { auditor: address(3), distance: 0, outcome: 'equal' },
    ]);
    expect((await store.rounds.evidence(id)).rest).toContain(sha(30));
  });
});
