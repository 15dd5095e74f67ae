/** Decodes text files that people write: with what editors and shells put around the text, or into it. */

/** The text, or the end of a sentence "… cannot be used: " that says why there is none. */
export type Decoded = { text: string; problem?: undefined } | { text?: undefined; problem: string };

const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const UTF16_MARKS = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])];

/** Decodes UTF-8 and leaves out a byte order mark; other encodings are named with the remedy. */
export function decodeText(bytes: Uint8Array): Decoded {
  const problem = findUtf16(bytes);
  if (problem !== undefined) return { problem };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(withoutMark(bytes)) };
  } catch {
    return { problem: 'it is not UTF-8; save it as UTF-8' };
  }
}

/** Leaves out the byte order mark that some editors put before UTF-8. */
export function withoutMark(bytes: Uint8Array): Buffer {
  const given = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return given.subarray(0, 3).equals(UTF8_MARK) ? given.subarray(3) : given;
}

/** Returns the problem of UTF-16, known by its mark or, with Latin letters, by zeros at every second byte. */
export function findUtf16(bytes: Uint8Array): string | undefined {
  const isMarked = UTF16_MARKS.some((mark) => mark.equals(bytes.subarray(0, 2)));
  const isSpaced = bytes.length >= 4 && [0, 1].some((at) => bytes[at] === 0 && bytes[at + 2] === 0);
  if (!isMarked && !isSpaced) return undefined;
  return 'it is UTF-16, as PowerShell and Notepad may write it; save it as UTF-8';
}
