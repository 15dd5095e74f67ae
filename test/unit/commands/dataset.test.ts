import { writeFile } from 'node:fs/promises';
import { locateDataset } from '../../../src/commands/dataset';
import { sha256 } from '../../../src/lib/hash';
import { openScratch } from '../../support/scratch';

const notAsked = () => Promise.reject(new Error('asked for a size'));
const reference = `sha256:${'ab'.repeat(32)}`;

describe('locateDataset', () => {
  test('when a file of ours: named by its hash, to be uploaded', async () => {
    await using scratch = await openScratch();
    const file = scratch.file('book.txt');
    await writeFile(file, 'Call me Ishmael.');
    const dataset = await locateDataset(file, notAsked);
    expect(dataset).toMatchObject({ reference: `sha256:${sha256('Call me Ishmael.')}`, file });
    expect(await dataset.bytes()).toBe(16);
  });

  test('when a reference: nothing to upload, the size is asked for', async () => {
    const dataset = await locateDataset(reference, async (asked) => (asked === reference ? 1234 : 0));
    expect(dataset).toMatchObject({ reference });
    expect(dataset.file).toBeUndefined();
    expect(await dataset.bytes()).toBe(1234);
  });

  test('throws usage/no-size when nobody says', async () => {
    const dataset = await locateDataset('https://example.org/book.txt', async () => 0);
    await expect(dataset.bytes()).rejects.toThrow(/--fuel-limit/);
  });

  test.each(['nowhere.txt', 'sha256:12', 'http://example.org/x', 'ftp://x'])(
    'throws usage/bad-dataset for %s',
    async (text) => {
      await expect(locateDataset(text, notAsked)).rejects.toThrow(/neither a file nor a reference/);
    },
  );
});
