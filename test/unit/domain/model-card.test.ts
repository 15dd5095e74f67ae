/** What a model card says of a job, and the points of its picture. */
import { lossCurve } from '../../../src/domain/loss-curve';
import { describeModel } from '../../../src/domain/model-card';

const lease = (worker: string, tokens: number) => ({ worker, tokens });
const facts = {
  jobId: '0xab',
  dataset: { sha256: 'cd', bytes: 1_234_567 },
  rounds: [
    { leases: [lease('0x1', 600_000), lease('0x2', 400_000)], validationLoss: 3 },
    { leases: [lease('0x1', 200_000)] },
    { leases: [lease('0x2', 300_000)], validationLoss: 2.1 },
  ],
  audits: [{ outcome: 'equal' as const }, { outcome: 'equal' as const }, { outcome: 'different' as const }],
  missedAudits: [{}],
  validationLoss: { start: 5.5582, end: 2 },
};

test('round that was not measured: left out of the curve, the whole part ends it', () => {
  expect(lossCurve(facts)).toEqual([
    { tokens: 0, loss: 5.5582 },
    { tokens: 1_000_000, loss: 3 },
    { tokens: 1_500_000, loss: 2 },
  ]);
});

test('job from scratch: its facts are written as people write them', () => {
  expect(describeModel(facts)).toEqual({
    job: '0xab',
    'data set': '1.2 MB, sha256 cd',
    'held-out loss': '5.5582 before, 2.0000 after (nats per token)',
    perplexity: '259.4 before, 7.389 after',
    'trained on': '1,500,000 tokens in 3 rounds, by 2 workers',
    audits: '2 found the same work, 1 found other work, 1 could not be done',
  });
});

test('job from a base: the base is named with its commit', () => {
  expect(describeModel({ ...facts, base: { reference: 'hf:a/b', commit: 'ef' } })).toMatchObject({
    base: 'hf:a/b, commit ef',
  });
});
