/** How a data set named on the command line is found and checked. */
import { writeFile } from 'node:fs/promises';
import { locateDataset } from '../../../../src/commands/jobs/dataset';
import { sha256 } from '../../../../src/lib/hash';
import { openScratch } from '../../../support/scratch';

const notAsked = () => Promise.reject(new Error('asked for a size'));
const reference = `sha256:${'ab'.repeat(32)}`;

describe('locateDataset', () => {
  test('local file: named by its hash, to be uploaded', async () => {
    await using scratch = await openScratch();
    const file = scratch.file('book.txt');
    await writeFile(file, 'Call me Ishmael.');
    const dataset = await locateDataset(file, notAsked);
    expect(dataset).toMatchObject({ reference: `sha256:${sha256('Call me Ishmael.')}`, file });
    expect(await dataset.bytes()).toBe(16);
  });

  test('reference: nothing to upload, the size is asked for', async () => {
    const dataset = await locateDataset(reference, async (asked) => (asked === reference ? 1234 : 0));
    expect(dataset).toMatchObject({ reference });
    expect(dataset.file).toBeUndefined();
    expect(await dataset.bytes()).toBe(1234);
  });

  test('reference of unknown size: throws usage/no-size', async () => {
    const dataset = await locateDataset('https://example.org/book.txt', async () => 0);
    await expect(dataset.bytes()).rejects.toThrow(/--fuel-limit/);
  });

  test.each([
    ['NUL', Buffer.from('Call me\0Ishmael.'), 'byte 7 is NUL'],
    ['bytes that are no UTF-8', Buffer.from([0x43, 0xff, 0x41]), 'not UTF-8'],
    ['half a character', Buffer.from('Grüße').subarray(0, 3), 'ends within a character'],
    ['nothing', Buffer.alloc(0), 'no text (0 bytes)'],
    ['white space alone', Buffer.from(' \t\n\r\v\f'), 'no text (6 bytes)'],
    ['NUL after more than a mebibyte', Buffer.from(`${'a'.repeat(1 << 20)}b\0`), `byte ${(1 << 20) + 1} is NUL`],
  ])('file with %s: throws usage/bad-dataset', async (_name, bytes, words) => {
    await using scratch = await openScratch();
    const file = scratch.file('data.bin');
    await writeFile(file, bytes);
    const error = await locateDataset(file, notAsked).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'usage/bad-dataset', message: expect.stringContaining(words) });
    expect(error).toMatchObject({ message: expect.stringContaining(`${file} (--dataset)`) });
  });

  test('character across two chunks of the stream: accepted', async () => {
    await using scratch = await openScratch();
    const file = scratch.file('book.txt');
    await writeFile(file, `\ufeff${'a'.repeat((1 << 20) - 4)}ü`);
    expect(await locateDataset(file, notAsked)).toMatchObject({ file });
  });

  test('directory: throws usage/unreadable-file', async () => {
    await using scratch = await openScratch();
    const error = await locateDataset(scratch.path, notAsked).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'usage/unreadable-file',
      message: `${scratch.path} (--dataset) cannot be read: it is a directory; name one file.`,
    });
  });

  test.each(['nowhere.txt', 'sha256:12', 'http://example.org/x', 'ftp://x'])(
    '%s: throws usage/bad-dataset',
    async (text) => {
      await expect(locateDataset(text, notAsked)).rejects.toThrow(/neither a file nor a reference/);
    },
  );
});
