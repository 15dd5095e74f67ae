/** What belongs together is written together, whenever the master is killed: a cursor and its events, a fold. */
import { PAID, playTimelines, TO_VERIFIED } from '../../support/master-rig-books';

const done = { history: TO_VERIFIED, mined: PAID };

playTimelines([
  {
    situation: 'killed before the events of a block are stored',
    outcome: 'they are read again',
    given: (rig) => rig.killsAt('before', 'store.transaction'),
    ...done,
    starts: 2,
  },
  {
    situation: 'fold cannot be made final at first',
    outcome: 'no receipt before it is, and one then',
    given: (rig) => {
      rig.fails('rounds.confirm');
      rig.before('rounds.confirm', () => expect(rig.worker.receipts).toEqual([]), 1);
    },
    ...done,
    check: (rig) => expect(rig.worker.receipts.map(({ round }) => round)).toEqual([0, 1]),
  },
]);
