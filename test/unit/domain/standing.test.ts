/** What a job makes of what its workers did. */
import {
  afterAccepted,
  afterLost,
  announcedSpeed,
  blockFlops,
  isProven,
  isUnreliable,
  type LeaseOutcome,
  openStanding,
  probeBlocks,
  type Standing,
  smoothSpeed,
} from '../../../src/domain/standing';

const job = { flops: 1e9, probe: 12 };
const fresh = openStanding({ accepted: 0, isAudited: false, gflops: undefined }, job);

test('probe: 5 s at an eighth of the announcement, but a quarter of an average part', () => {
  const flops = blockFlops({ parameters: 1e6, blockTokens: 1000 });
  expect(flops).toBe(6e9);
  expect(probeBlocks(announcedSpeed(480, flops), 50)).toBe(50);
  expect(probeBlocks(announcedSpeed(1, flops), 50)).toBe(13);
});

test('worker unknown to this master: a probe, no speed', () => {
  expect(fresh).toMatchObject({ limit: 12, blocksPerSecond: undefined });
});

test.each<[string, Parameters<typeof openStanding>[0], Partial<Standing>]>([
  [
    '3 accepted leases and a speed',
    { accepted: 3, isAudited: true, gflops: 5 },
    { limit: Infinity, blocksPerSecond: 5 },
  ],
  ['2 accepted leases', { accepted: 2, isAudited: true, gflops: 5 }, { limit: 12, blocksPerSecond: undefined }],
  [
    'no speed any more',
    { accepted: 40, isAudited: true, gflops: undefined },
    { limit: 12, blocksPerSecond: undefined },
  ],
])('worker known with %s: begins accordingly', (_known, known, expected) => {
  expect(openStanding(known, job)).toMatchObject({ ...expected, isMeasuredHere: false });
});

test('accepted leases: the limit doubles, the third one proves an audited worker', () => {
  let standing = { ...fresh, isAudited: true };
  const seen: [number, boolean][] = [];
  for (const blocks of [12, 24, 48]) {
    standing = afterAccepted(standing, { blocks, seconds: 2 });
    seen.push([standing.limit, isProven(standing)]);
  }
  expect(seen).toEqual([
    [24, false],
    [48, false],
    [96, true],
  ]);
  expect(isProven({ ...standing, isAudited: false })).toBe(false);
});

test('first lease measured in a job: the speed of earlier jobs counts no more', () => {
  const known = openStanding({ accepted: 3, isAudited: true, gflops: 5 }, job);
  expect(afterAccepted(known, { blocks: 10, seconds: 10 }).blocksPerSecond).toBe(1);
  expect(afterAccepted(known, { blocks: 10, seconds: undefined })).toMatchObject({
    blocksPerSecond: 5,
    isMeasuredHere: false,
  });
});

test('lease lost: the next one is a probe, however large the last ones were', () => {
  const standing = afterAccepted(fresh, { blocks: 500, seconds: 1 });
  expect(afterLost(standing, 12).limit).toBe(12);
});

test.each<[string, LeaseOutcome[], boolean]>([
  ['two in a row', ['accepted', 'lost', 'lost'], false],
  ['three in a row', ['lost', 'lost', 'lost'], true],
  ['three of eight', ['lost', ...few('accepted', 3), 'lost', 'accepted', 'lost'], true],
  ['three of nine', ['lost', ...few('accepted', 3), 'lost', ...few('accepted', 3), 'lost'], false],
])('leases lost, %s: the worker leaves accordingly', (_lost, outcomes, leaves) => {
  const after = outcomes.reduce(
    (standing, outcome) =>
      outcome === 'lost' ? afterLost(standing, 12) : afterAccepted(standing, { blocks: 12, seconds: 1 }),
    fresh,
  );
  expect(isUnreliable(after)).toBe(leaves);
});

test('smoothSpeed, a change of speed: half of it shows at once', () => {
  expect(smoothSpeed(undefined, 10)).toBe(10);
  expect(smoothSpeed(10, 20)).toBe(15);
});

function few(outcome: LeaseOutcome, times: number): LeaseOutcome[] {
  return Array.from({ length: times }, () => outcome);
}
