/** One database used with two chains or two contracts: refused before anything of it is read. */
import { Address } from '../../../src/domain/ids';
import { describeEachDatabase } from '../../support/each-database';

const core = Address.parse(`0x${'1'.repeat(40)}`);
const other = Address.parse(`0x${'2'.repeat(40)}`);

describeEachDatabase('deployment', (database) => {
  test('first use by several at once, then again: accepted', async () => {
    const stores = await Promise.all([database.open(), database.open(), database.open()]);
    await Promise.all(stores.map((store) => store.deployment.require({ chainId: 1, core })));
    await (await database.open()).deployment.require({ chainId: 1, core });
  });

  test.each([
    ['chain', { chainId: 2, core }, `the contract ${core} on chain 2`],
    ['contract', { chainId: 1, core: other }, `the contract ${other} on chain 1`],
  ])('another %s: refused with both, and the remedy', async (_what, asked, words) => {
    await (await database.open()).deployment.require({ chainId: 1, core });
    const again = (await database.open()).deployment.require(asked);
    await expect(again).rejects.toMatchObject({
      code: 'store/other-chain',
      message: expect.stringMatching(new RegExp(`contract ${core} on chain 1, .*${words}; choose another --data-dir`)),
    });
    // The first one still works.
    await (await database.open()).deployment.require({ chainId: 1, core });
  });
});
