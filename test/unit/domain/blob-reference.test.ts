/** References to blobs: what is read, what is printed, and what is refused. */
import fc from 'fast-check';
import {
  MAX_LOCATIONS,
  MAX_REFERENCE_CHARACTERS,
  parseBlobReference,
  printBlobReference,
  promisedHash,
  toLocation,
} from '../../../src/domain/blob-reference';

const sha256 = 'ab'.repeat(32);
const [a, b] = ['https://a.example/api/v1', 'https://b.example:8443/store/api/v1'];

test.each([
  ['no location', `sha256:${sha256}`, []],
  ['one location', `sha256:${sha256}@${a}`, [a]],
  ['two locations', `sha256:${sha256}@${a},${b}`, [a, b]],
])('%s: read, and printed the same again', (_what, text, locations) => {
  expect(parseBlobReference(text)).toEqual({ sha256, locations });
  expect(printBlobReference(sha256, locations)).toBe(text);
});

test.each([
  ['short hash', `sha256:${sha256.slice(2)}`],
  ['capital digits', `sha256:${sha256.toUpperCase()}`],
  ['other scheme', `md5:${sha256}`],
  ['empty list', `sha256:${sha256}@`],
  ['same entry twice', `sha256:${sha256}@${a},${a}`],
  ['empty entry', `sha256:${sha256}@${a},`],
  ['two lists', `sha256:${sha256}@${a}@${b}`],
  ['file', `sha256:${sha256}@file:///etc`],
  ['credentials', `sha256:${sha256}@https://me:secret@a.example/api/v1`],
  ['empty query', `sha256:${sha256}@${a}?`],
  ['fragment', `sha256:${sha256}@${a}#x`],
  ['query', `sha256:${sha256}@${a}?x=1`],
  ['trailing slash', `sha256:${sha256}@${a}/`],
  ['white space', `sha256:${sha256}@${a} `],
  ['too many', `sha256:${sha256}@${Array.from({ length: MAX_LOCATIONS + 1 }, (_, i) => `https://s${i}.example`)}`],
  ['too long an entry', `sha256:${sha256}@https://a.example/${'x'.repeat(200)}`],
])('%s: no reference', (_what, text) => {
  expect(parseBlobReference(text)).toBeUndefined();
});

test('locations as people write them: printed in one form, once, and no more than fit', () => {
  expect(toLocation('https://me:secret@a.example/api/v1')).toBeUndefined();
  const many = Array.from({ length: 20 }, (_, i) => `https://s${i}.example/${'x'.repeat(180)}`);
  expect(printBlobReference(sha256, [`${a}/`, a, 'HTTPS://B.example:8443/store/api/v1', 'ftp://c.example', 'x'])).toBe(
    `sha256:${sha256}@${a},${b}`,
  );
  const longest = printBlobReference(sha256, many);
  expect(longest.length).toBeLessThanOrEqual(MAX_REFERENCE_CHARACTERS);
  expect(parseBlobReference(longest)?.locations).toHaveLength(MAX_LOCATIONS);
});

test('any text: read without a crash, and only into what prints the same again', () => {
  const noise = fc.string({ unit: 'binary', maxLength: 300 });
  const near = fc.array(fc.oneof(fc.constantFrom('@', ',', a, b, '/', '?', '#', '%', ' '), noise), { maxLength: 6 });
  fc.assert(
    fc.property(near, (parts) => {
      const text = `sha256:${sha256}${parts.join('')}`;
      const read = parseBlobReference(text);
      if (read) expect(printBlobReference(read.sha256, read.locations)).toBe(text);
      const address = toLocation(parts.join(''));
      if (address !== undefined) expect(toLocation(address)).toBe(address);
    }),
  );
});

test.each([
  ['reference with a location', `sha256:${sha256}@${a}`, sha256],
  ['address with a hash', `https://x.example/data#sha256=${sha256}`, sha256],
  ['address without a hash', 'https://x.example/data', undefined],
  ['file', `file:/tmp/x#sha256=${sha256}`, undefined],
])('%s: the hash it promises', (_what, reference, expected) => {
  expect(promisedHash(reference)).toBe(expected);
});
