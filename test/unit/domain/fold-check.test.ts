/** When a fold counts as bad, and whose update is left out for it. */
import { checkSequences, findCulprits, isBadFold, isFlat, recallLosses } from '../../../src/domain/fold-check';

describe('isBadFold', () => {
  test.each([
    ['nothing to compare with', 9, [], false],
    ['no number', Number.POSITIVE_INFINITY, [], true],
    ['better', 2.9, [5, 4, 3], false],
    ['a little worse', 3.04, [3.02, 3.01, 3], false],
    ['worse than noise', 3.06, [3.02, 3.01, 3], true],
    ['a rise as large as four usual changes', 3.9, [4, 3.7, 3.4, 3.1, 2.8], false],
    ['a rise above that', 4.1, [4, 3.7, 3.4, 3.1, 2.8], true],
    ['a worse one among the last three does not hide the best', 3.2, [3, 3.01, 3.02], true],
  ])('%s: loss %d', (_, loss, earlier, isBad) => {
    expect(isBadFold(loss, earlier)).toBe(isBad);
  });
});

describe('findCulprits', () => {
  /** The loss is 1 and rises by 1 for each bad update kept. */
  const search = async (count: number, bad: readonly number[]) => {
    const measured: number[][] = [];
    const culprits = await findCulprits(
      count,
      async (kept) => {
        measured.push([...kept]);
        return 1 + kept.filter((i) => bad.includes(i)).length;
      },
      (loss) => loss > 1,
    );
    return { culprits: culprits.sort(), measured };
  };

  test('one of three: found after folding without each', async () => {
    const { culprits, measured } = await search(3, [1]);
    expect(culprits).toEqual([1]);
    expect(measured).toEqual([
      [1, 2],
      [0, 2],
      [0, 1],
    ]);
  });

  test('two of four: both', async () => {
    expect((await search(4, [0, 3])).culprits).toEqual([0, 3]);
  });

  test('one of two: it', async () => {
    expect((await search(2, [0])).culprits).toEqual([0]);
  });

  test('more than half: nobody', async () => {
    expect((await search(3, [0, 1])).culprits).toEqual([]);
  });

  test('the only update: nobody, and nothing is folded', async () => {
    expect(await search(1, [0])).toEqual({ culprits: [], measured: [] });
  });

  test('never a number without one: the other is left out', async () => {
    const culprits = await findCulprits(
      2,
      async (kept) => (kept.includes(0) ? Number.POSITIVE_INFINITY : 1),
      (loss) => !Number.isFinite(loss),
    );
    expect(culprits).toEqual([0]);
  });
});

test('sequences of a check: what 3 % of a round allow, within the limits', () => {
  const of = (roundMs: number, sequenceMs: number) => checkSequences({ roundMs, sequenceMs, least: 8, most: 64 });
  expect([of(10_000, 10), of(10_000, 1), of(1000, 100), of(1000, 0)]).toEqual([30, 64, 8, 64]);
});

test.each([
  ['falling', [3.6, 2, 1.3, 1.1, 1, 0.9, 0.8], false],
  ['up and down for long', [0.67, 0.64, 0.69, 0.71, 0.62, 0.69, 0.71, 0.66, 0.75, 0.65], true],
  ['falling again', [0.67, 0.64, 0.69, 0.71, 0.62, 0.69, 0.71, 0.66, 0.75, 0.5], false],
  ['too few to tell', [0.67, 0.68, 0.69, 0.7, 0.71], false],
])('losses %s: flat or not', (_situation, losses, expected) => {
  expect(isFlat(losses)).toBe(expected);
});

describe('recallLosses', () => {
  const stored = (...losses: (number | undefined)[]) =>
    losses.map((validationLoss) => ({ validationLoss, resetsOuter: false }));

  test('restart between folds: a rise is judged by what was usual before it', () => {
    const losses = [5.4, 3.3, 5.1, 3.2];
    const recalled = recallLosses(3.3, stored(...losses));
    expect(recalled).toEqual([5.5, 3.4, 5.2, 3.3].map((loss) => expect.closeTo(loss)));
    expect(isBadFold(5.3, recalled)).toBe(isBadFold(5.2, losses));
    expect(isBadFold(5.3, [3.3])).toBe(true);
  });

  test('bad fold let stand, one never measured: no measure of others', () => {
    const [first, second, third] = stored(5, undefined, 4);
    const bad = { validationLoss: 9, resetsOuter: true };
    expect(recallLosses(4, [first!, bad, second!, third!])).toEqual([5, 4]);
  });

  test('last fold never measured, or no fold before: only what is measured now', () => {
    expect([recallLosses(4, stored(5, undefined)), recallLosses(4, [])]).toEqual([[4], [4]]);
  });
});
