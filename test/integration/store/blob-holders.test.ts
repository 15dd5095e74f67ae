/** Who holds which blob, with the same results on both databases. */
import { Address, type Sha256 } from '../../../src/domain/ids';
import { describeEachDatabase } from '../../support/each-database';

jest.setTimeout(120_000);

const [ann, bob] = ['0a', '0b'].map((byte) => Address.parse(`0x${byte.repeat(20)}`)) as [Address, Address];
const [book, other] = ['ab', 'cd'].map((byte) => byte.repeat(32) as Sha256) as [Sha256, Sha256];

describeEachDatabase('holders of blobs', (database) => {
  test('two accounts with one blob: both hold it, and nothing else', async () => {
    const { blobHolders } = await database.open();
    await blobHolders.add(book, ann);
    await blobHolders.add(book, bob);
    await blobHolders.add(book, ann);
    await blobHolders.add(other, bob);
    expect([await blobHolders.has(book, ann), await blobHolders.has(book, bob)]).toEqual([true, true]);
    expect([await blobHolders.has(other, ann), await blobHolders.has(other, bob)]).toEqual([false, true]);
  });
});
