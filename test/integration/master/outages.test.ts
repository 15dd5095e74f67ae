/** Database, disk or chain away for minutes in each state of a job: it waits, and goes on afterwards. */
import { openMasterRig } from '../../support/master-rig';
import { expectOutcome, PAID, TO_TRAINING, TO_VERIFIED } from '../../support/master-rig-books';

const AWAY_MS = 150_000;
/** How soon after its return a job must go on. */
const SOON_MS = 10_000;

const parts = {
  database: ['jobs.', 'ledger.', 'rounds.', 'audits.', 'workers.', 'store.', 'cursors.'],
  disk: ['blobs.', 'child.', 'storage.', 'python.'],
  chain: ['chain.'],
};

/** A call of each state, from which on something is away. */
const states = [
  ['claimed', 'storage.fetch'],
  ['preparing', 'chain.process'],
  ['training', 'ledger.commit'],
  ['exporting', 'child.export'],
  ['submitting', 'chain.submit'],
  ['submitted', 'chain.payWorkers'],
  ['declining', 'chain.decline'],
] as const;

const rows = states.flatMap(([state, call]) =>
  Object.entries(parts).map(([part, ports]) => ({ state, call, part, ports })),
);

test.each(rows)('$part away in $state: goes on within ten seconds of its return', async ({ state, call, ports }) => {
  await using rig = await openMasterRig();
  if (state === 'declining') rig.fails('child.export', { code: 'job/diverged' });
  rig.goesAway(ports, AWAY_MS, call);
  rig.request();
  await rig.until('it is away', () => rig.faults.away.length > 0);
  const startedAtMs = rig.clock.now();
  await rig.until('it is back', () => rig.faults.away.length === 0);
  expect(rig.clock.now() - startedAtMs).toBe(AWAY_MS);
  await rig.pass(SOON_MS);
  const [job] = await rig.master.admin.jobs();
  expect(job?.waitsFor).toBeUndefined();
  const declined = { history: `${TO_TRAINING} exporting declining declined`, mined: 'process decline' };
  await expectOutcome(rig, state === 'declining' ? declined : { history: TO_VERIFIED, mined: PAID });
});
