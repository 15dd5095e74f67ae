/** The contracts' coverage by their unit tests, which must be complete: recorded, or measured anew. */
import { coverageOfContracts } from '../support/coverage';

test('unit tests of the contracts: they reach every line and branch', async () => {
  const files = await coverageOfContracts();
  const gaps = files.filter(({ lines, branches }) => lines.missed.length + branches.missed.length > 0);
  expect(gaps).toEqual([]);
  expect(files.reduce((sum, { lines }) => sum + lines.all, 0)).toBeGreaterThan(500);
}, 600_000);
