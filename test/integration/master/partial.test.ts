/** A requester takes a part: a job that cannot be finished is submitted and paid as far as it came. */
import type { MasterRig } from '../../support/master-rig';
import { PAID, playTimelines, type Timeline, TO_TRAINING, TO_VERIFIED } from '../../support/master-rig-books';
import { tinyParams } from '../../support/tiny-job';

const params = JSON.stringify({ ...tinyParams, round: { steps: 8 }, partial: true });
const done = { history: TO_VERIFIED, mined: PAID };
const declined = { history: `${TO_TRAINING} declining declined`, mined: 'process decline' };
/** Far more than the time allows. */
const long = { params, blocks: 400, deadlineMs: 200_000 };

const part = (rig: MasterRig) => rig.store.ledger.merged(rig.jobId);

playTimelines([
  {
    situation: 'too slow for the deadline',
    outcome: 'what was merged is submitted and paid',
    options: long,
    ...done,
    async check(rig) {
      const merged = await part(rig);
      expect(merged).toBeGreaterThan(8);
      expect(merged).toBeLessThan(400);
      expect(rig.chain.payoutWei(rig.jobId)).toBeLessThanOrEqual(10n ** 19n);
    },
  },
  {
    situation: 'diverges after two rounds',
    outcome: 'these two are submitted and paid',
    options: { params, blocks: 400 },
    given: (rig) => void rig.worker.fates.push('trains', 'trains', 'ruins the model'),
    ...done,
    check: async (rig) => expect(await part(rig)).toBe(16),
  },
  {
    situation: 'no worker is left after a round',
    outcome: 'this round is submitted and paid',
    options: { params, blocks: 400 },
    given: (rig) => void rig.worker.fates.push('trains', 'sends garbage', 'sends garbage', 'sends garbage'),
    ...done,
    check: async (rig) => expect(await part(rig)).toBe(8),
  },
  {
    situation: 'killed when the part is cut off',
    outcome: 'the same part is submitted and paid once',
    options: long,
    given: (rig) => rig.killsAt('after', 'rounds.keepConfirmed'),
    ...done,
    starts: 2,
  },
  {
    situation: 'nothing was learnt',
    outcome: 'given back',
    options: long,
    given: (rig) => rig.learnsNothing(),
    ...declined,
  },
] satisfies Timeline[]);
