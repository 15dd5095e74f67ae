/** What belongs together is written together, and nothing is said before it is written. */
import { openMasterRig } from '../../support/master-rig';
import { expectOutcome, PAID, TO_VERIFIED } from '../../support/master-rig-books';

const done = { history: TO_VERIFIED, mined: PAID };

test('killed before the events of a block are stored: they are read again', async () => {
  await using rig = await openMasterRig();
  rig.killsAt('before', 'store.transaction');
  await expectOutcome(rig, { ...done, starts: 2 });
});

test('update cannot be stored at first: no verdict before it is', async () => {
  await using rig = await openMasterRig();
  let verdicts = -1;
  rig.fails('ledger.commit');
  rig.before('ledger.commit', () => {
    verdicts = rig.worker.heardOf('update.verdict').length;
  });
  await expectOutcome(rig, done);
  expect(verdicts).toBe(0);
});

test('fold cannot be made final at first: no receipt before it is, and one then', async () => {
  await using rig = await openMasterRig();
  let receipts = -1;
  rig.fails('rounds.confirm');
  rig.before('rounds.confirm', () => {
    receipts = rig.worker.receipts.length;
  });
  await expectOutcome(rig, done);
  expect(receipts).toBe(0);
  expect(rig.worker.receipts.map(({ round }) => round)).toEqual([0, 1]);
});
