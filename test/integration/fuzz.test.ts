/** Some hundred generated inputs at every door; `npm run fuzz` sends 100,000 to each. */
import { doorNames, fuzz } from '../support/fuzz';

const { EMETH_SEED = String(Date.now() % 1_000_000) } = process.env;

test.each(doorNames)('%s: answers or refuses whatever comes', async (door) => {
  expect(await fuzz(door, 500, Number(EMETH_SEED))).toMatchObject({ inputs: 500 });
});
