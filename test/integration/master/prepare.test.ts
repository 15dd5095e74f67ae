/** From a claimed job to its plan: what becomes of a job whose data, parameters or child make trouble. */
import { PAID, playTimelines, TO_VERIFIED } from '../../support/master-rig-books';
import { tinyParams } from '../../support/tiny-job';

const done = { history: TO_VERIFIED, mined: PAID };
const skipped = { history: 'queued claimed skipped', mined: '' };
const lookedAtAgain = { history: `queued claimed skipped ${TO_VERIFIED.slice('queued '.length)}`, mined: PAID };

describe('nothing or one thing goes wrong', () => {
  playTimelines([
    { situation: 'nothing fails', outcome: 'trained, submitted and paid', ...done },
    {
      situation: 'two workers',
      outcome: 'both are paid by their tokens',
      options: { workers: 2 },
      ...done,
      check: (rig) =>
        expect([...rig.chain.credits.keys()].sort()).toEqual([...rig.workers.map((w) => w.address), rig.node].sort()),
    },
    {
      situation: 'fetching the data fails once',
      outcome: 'fetched when tried again',
      given: (rig) => rig.fails('storage.fetch'),
      ...done,
      check: (rig) => expect(rig.faults.count('storage.fetch')).toBe(2),
    },
    {
      situation: 'child dies while preparing',
      outcome: 'another prepares',
      given: (rig) => rig.childDies('prepare'),
      ...done,
      check: (rig) => expect(rig.children).toHaveLength(2),
    },
    {
      situation: 'Python cannot be started once',
      outcome: 'started when tried again',
      given: (rig) => rig.fails('python.open'),
      ...done,
    },
    {
      situation: 'child dies of init twice',
      outcome: 'the step is done again',
      given: (rig) => rig.childDies('init', { times: 2 }),
      ...done,
      check: (rig) => expect(rig.faults.count('storage.fetch')).toBe(2),
    },
    {
      situation: 'storing the plan fails once',
      outcome: 'the plan is made again',
      given: (rig) => rig.fails('jobs.move'),
      ...done,
    },
  ]);
});

describe('something fails for long', () => {
  playTimelines([
    {
      situation: 'fetching the data fails 40 times',
      outcome: 'fetched when it can be',
      given: (rig) => rig.fails('storage.fetch', { times: 40 }),
      ...done,
    },
    {
      situation: 'storing the plan fails 40 times',
      outcome: 'stored when it can be, and made once',
      given: (rig) => rig.fails('jobs.move', { times: 40 }),
      ...done,
      check: (rig) => expect(rig.faults.count('child.prepare')).toBe(1),
    },
    {
      situation: 'ten children die of prepare',
      outcome: 'makes room, and is prepared at the next look',
      given: (rig) => rig.childDies('prepare', { times: 10 }),
      ...lookedAtAgain,
    },
    {
      situation: 'size of the data cannot be had once',
      outcome: 'looked at again, and taken',
      given: (rig) => rig.fails('storage.size', { code: 'blobs/storage-unreachable' }),
      history: `queued skipped ${TO_VERIFIED.slice('queued '.length)}`,
      mined: PAID,
    },
    {
      situation: 'data set is no text',
      outcome: 'skipped at once',
      given: (rig) => rig.fails('child.prepare', { code: 'data/not-text' }),
      ...skipped,
      check: (rig) => expect(rig.faults.count('child.prepare')).toBe(1),
    },
    {
      situation: 'rates break the model in the rehearsal',
      outcome: 'skipped for good, and no deposit is locked',
      given: (rig) => rig.fails('child.rehearse', { code: 'params/diverge' }),
      ...skipped,
      reason: 'child.rehearse failed',
    },
    {
      situation: 'asks for a larger gain than there can be',
      outcome: 'skipped for good, and no deposit is locked',
      options: { params: JSON.stringify({ ...tinyParams, minGain: 5 }) },
      ...skipped,
      reason: 'smaller minGain',
    },
    {
      situation: 'data set cannot be had',
      outcome: 'makes room at once, and is fetched at the next look',
      given: (rig) => rig.fails('storage.fetch', { code: 'dataset/missing' }),
      ...lookedAtAgain,
      check: (rig) => expect(rig.faults.count('storage.fetch')).toBe(2),
    },
    {
      situation: 'parameters are not JSON',
      outcome: 'not even claimed',
      options: { params: '{' },
      history: 'queued skipped',
      mined: '',
      reason: 'not JSON',
    },
  ]);
});

describe('chain says otherwise', () => {
  playTimelines([
    {
      situation: 'canceled before any worker came',
      outcome: 'failed without being claimed',
      options: { workers: 0 },
      act: async (rig) => {
        await rig.pass(5000);
        rig.chain.end(rig.jobId, 'CANCELED');
      },
      history: 'queued failed',
      mined: '',
      reason: 'CANCELED',
    },
    {
      situation: 'canceled while its data are fetched',
      outcome: 'failed',
      given: (rig) => {
        rig.before('storage.fetch', () => rig.chain.end(rig.jobId, 'CANCELED'));
        rig.fails('child.prepare', { times: 4 });
      },
      history: 'queued claimed failed',
      mined: '',
      reason: 'CANCELED',
    },
  ]);
});

describe('killed', () => {
  const points = ['jobs.claim', 'storage.fetch', 'child.prepare', 'child.init', 'child.evaluate', 'jobs.move'];
  playTimelines(
    points.flatMap((point) =>
      (['before', 'after'] as const).map((moment) => ({
        situation: `killed ${moment} ${point}`,
        outcome: 'taken up and paid once',
        given: (rig) => rig.killsAt(moment, point),
        ...done,
        starts: 2,
      })),
    ),
  );
});
