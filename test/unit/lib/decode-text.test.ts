/** Texts as editors and shells write them. */
import { decodeText } from '../../../src/lib/decode-text';

const text = '{"pollMs": 100} // Grüße';
const bigEndian = Buffer.from(`\ufeff${text}`, 'utf16le').swap16();

test.each([
  ['UTF-8', Buffer.from(text)],
  ['UTF-8 with a byte order mark', Buffer.from(`\ufeff${text}`)],
  ['nothing', Buffer.alloc(0)],
])('%s: its text, without the mark', (_name, bytes) => {
  expect(decodeText(bytes)).toEqual({ text: bytes.length > 0 ? text : '' });
});

test.each([
  ['UTF-16, little endian', Buffer.from(`\ufeff${text}`, 'utf16le'), /UTF-16, .* save it as UTF-8/],
  ['UTF-16, big endian', bigEndian, /UTF-16, .* save it as UTF-8/],
  ['UTF-16 without a mark', Buffer.from(text, 'utf16le'), /UTF-16/],
  ['Latin-1', Buffer.from(text, 'latin1'), /not UTF-8; save it as UTF-8/],
])('%s: named, with the remedy', (_name, bytes, words) => {
  expect(decodeText(bytes).problem).toMatch(words);
});
