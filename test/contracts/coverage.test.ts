import { measureCoverage } from '../support/coverage';

test('the unit tests of the contracts reach every line and every branch of them', async () => {
  const files = await measureCoverage();
  const gaps = files.filter(({ lines, branches }) => lines.missed.length + branches.missed.length > 0);
  expect(gaps).toEqual([]);
  expect(files.reduce((sum, { lines }) => sum + lines.all, 0)).toBeGreaterThan(500);
}, 600_000);
