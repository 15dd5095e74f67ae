/** From trained weights to a published result: repeating evaluation, export and manifest gives the same. */

import { PAID, playTimelines, TO_TRAINING, TO_VERIFIED } from '../../support/master-rig-books';
import { stranger } from '../../support/master-rig-chain';

/** Two files of the model, two updates, and the manifest. */
const PUBLISHED = 5;

const done = { history: TO_VERIFIED, mined: PAID };
const failed = { history: `${TO_TRAINING} exporting failed`, mined: 'process' };

describe('fails once', () => {
  playTimelines([
    {
      situation: 'nothing was learnt',
      outcome: 'given back, as verifiers would reject it',
      given: (rig) => rig.learnsNothing(),
      history: `${TO_TRAINING} exporting declining declined`,
      mined: 'process decline',
      reason: 'would be rejected',
    },
    {
      situation: 'child dies of export',
      outcome: 'another exports',
      given: (rig) => rig.childDies('export'),
      ...done,
      check: (rig) => expect(rig.children).toHaveLength(2),
    },
    {
      situation: 'child dies of export twice',
      outcome: 'exported when tried again',
      given: (rig) => rig.childDies('export', { times: 2 }),
      ...done,
    },
    { situation: 'publishing fails once', outcome: 'published', given: (rig) => rig.fails('storage.publish'), ...done },
    {
      situation: 'answer of publishing is lost',
      outcome: 'the same manifest again',
      given: (rig) => rig.losesAnswer('storage.publish'),
      ...done,
      check: (rig) => expect(new Set(rig.published).size).toBe(PUBLISHED),
    },
    {
      situation: 'storing the result fails once',
      outcome: 'the same manifest again',
      given: (rig) => rig.fails('jobs.move', { after: 3 }),
      ...done,
      check: (rig) => expect(new Set(rig.published).size).toBe(PUBLISHED),
    },
  ]);
});

describe('fails for long', () => {
  playTimelines([
    {
      situation: 'publishing fails 40 times',
      outcome: 'never given up, published when it can be',
      given: (rig) => rig.fails('storage.publish', { times: 40 }),
      ...done,
    },
    {
      situation: '40 children die of export',
      outcome: 'never given up, exported when it can be',
      given: (rig) => rig.childDies('export', { times: 40 }),
      ...done,
    },
    {
      situation: 'storing the result fails 40 times',
      outcome: 'made once',
      given: (rig) => rig.fails('jobs.move', { after: 3, times: 40 }),
      ...done,
      check: (rig) => expect(rig.faults.count('child.export')).toBe(1),
    },
  ]);
});

describe('chain says otherwise', () => {
  playTimelines([
    {
      situation: 'timed out before the result is published',
      outcome: 'failed',
      given: (rig) => {
        rig.before('child.export', () => rig.chain.end(rig.jobId, 'TIMEOUT'));
        rig.fails('storage.publish', { times: 4 });
      },
      ...failed,
      reason: 'TIMEOUT',
    },
    {
      situation: 'given back by the operator before the result is published',
      outcome: 'failed',
      given: (rig) => {
        rig.before('child.export', () => rig.chain.giveBack(rig.jobId));
        rig.fails('storage.publish', { times: 4 });
      },
      ...failed,
      reason: 'REQUESTED',
    },
    {
      situation: 'given back and taken by another before the result is published',
      outcome: 'failed',
      given: (rig) => {
        rig.before('child.export', () => {
          rig.chain.giveBack(rig.jobId);
          rig.chain.takenBy(rig.jobId, stranger);
        });
        rig.fails('storage.publish', { times: 4 });
      },
      ...failed,
    },
  ]);
});

describe('killed', () => {
  const points = [
    ['child.export', 0],
    ['storage.publish', 0],
    ['jobs.move', 3],
  ] as const;
  playTimelines(
    points.flatMap(([point, after]) =>
      (['before', 'after'] as const).map((moment) => ({
        situation: `killed ${moment} ${point}`,
        outcome: 'the same manifest, submitted once',
        given: (rig) => rig.killsAt(moment, point, after),
        ...done,
        starts: 2,
        check: (rig) => expect(new Set(rig.published).size).toBe(PUBLISHED),
      })),
    ),
  );
});
