/** How a data set named on the command line is found and checked. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { locateDataset } from '../../../../src/commands/jobs/dataset';
import { sha256 } from '../../../../src/lib/hash';
import { openScratch } from '../../../support/scratch';

const notAsked = () => Promise.reject(new Error('fetched'));
const reference = `sha256:${'ab'.repeat(32)}`;

/** Fetches every reference to this file, and notes when it is let go. */
function fetchTo(path: string) {
  const names: string[] = [];
  const fetch = async (asked: string) => ({
    path,
    async [Symbol.asyncDispose]() {
      names.push(asked);
    },
  });
  return { fetch, letGo: names };
}

describe('locateDataset', () => {
  test('local file: named by its hash, to be uploaded', async () => {
    await using scratch = await openScratch();
    const file = scratch.file('book.txt');
    await writeFile(file, 'Call me Ishmael.');
    await using dataset = await locateDataset(file, notAsked);
    expect(dataset).toMatchObject({
      reference: `sha256:${sha256('Call me Ishmael.')}`,
      path: file,
      isUploaded: true,
      bytes: 16,
    });
  });

  test('reference: fetched to be checked, nothing to upload, let go at the end', async () => {
    await using scratch = await openScratch();
    const { fetch, letGo } = fetchTo(scratch.file('fetched'));
    await writeFile(scratch.file('fetched'), 'Call me Ishmael.');
    const dataset = await locateDataset(reference, fetch);
    expect(dataset).toMatchObject({ reference, isUploaded: false, bytes: 16 });
    expect(letGo).toEqual([]);
    await dataset[Symbol.asyncDispose]();
    expect(letGo).toEqual([reference]);
  });

  test('reference to no data: throws usage/bad-dataset, and lets it go', async () => {
    await using scratch = await openScratch();
    const { fetch, letGo } = fetchTo(scratch.file('fetched'));
    await writeFile(scratch.file('fetched'), Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0x00]));
    await expect(locateDataset(reference, fetch)).rejects.toMatchObject({
      code: 'usage/bad-dataset',
      message: expect.stringMatching(/^sha256:abab.*\(--dataset\) cannot be trained on/),
    });
    expect(letGo).toEqual([reference]);
  });

  test('pipe: read once, as long as it is, and gone at the end', async () => {
    await using scratch = await openScratch();
    const pipe = scratch.file('pipe');
    execFileSync('sh', ['-c', `mkfifo '${pipe}'`]);
    const writer = spawn('sh', ['-c', `printf 'Call me Ishmael.' > '${pipe}'`]);
    const dataset = await locateDataset(pipe, notAsked);
    expect(dataset).toMatchObject({ reference: `sha256:${sha256('Call me Ishmael.')}`, isUploaded: true, bytes: 16 });
    expect(await readFile(dataset.path, 'utf8')).toBe('Call me Ishmael.');
    await dataset[Symbol.asyncDispose]();
    expect(existsSync(dataset.path)).toBe(false);
    writer.kill();
  });

  test('standard input that never ends, Ctrl-C: throws the reason of the signal', async () => {
    const stdin = Object.getOwnPropertyDescriptor(process, 'stdin') ?? {};
    Object.defineProperty(process, 'stdin', { configurable: true, value: new PassThrough() });
    try {
      const stop = new AbortController();
      const located = locateDataset('-', notAsked, stop.signal);
      stop.abort(new Error('Ctrl-C'));
      await expect(located).rejects.toThrow('Ctrl-C');
    } finally {
      Object.defineProperty(process, 'stdin', stdin);
    }
  });

  test('device: throws usage/no-file', async () => {
    await expect(locateDataset('/dev/zero', notAsked)).rejects.toMatchObject({ code: 'usage/no-file' });
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

  test.each([
    ['gzip', '1f8b0800'],
    ['zstd', '28b52ffd'],
    ['zstd that begins with a frame to skip', '502a4d18'],
    ['zip', '504b0304'],
    ['parquet', '50415231'],
    ['tar', `${'00'.repeat(257)}7573746172`],
  ])('%s: accepted as packed, its reader looks into it', async (_name, bytes) => {
    await using scratch = await openScratch();
    const file = scratch.file('data');
    await writeFile(file, Buffer.from(`${bytes}00`, 'hex'));
    expect(await locateDataset(file, notAsked)).toMatchObject({ path: file, isPacked: true });
  });

  test('character across two chunks of the stream: accepted', async () => {
    await using scratch = await openScratch();
    const file = scratch.file('book.txt');
    await writeFile(file, `\ufeff${'a'.repeat((1 << 20) - 4)}ü`);
    expect(await locateDataset(file, notAsked)).toMatchObject({ path: file, isPacked: false });
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
