/** Parsing of text frames, with malformed and hostile ones. */
import fc from 'fast-check';
import { errorCode } from '../../../src/lib/errors';
import { checkSize, parseMessage } from '../../../src/link/text';
import { MAX_CONTROL_BYTES, MasterMessage, WorkerMessage } from '../../../src/protocol/link';

const codeOf = (work: () => unknown) => {
  try {
    work();
    return 'accepted';
  } catch (error) {
    return errorCode(error);
  }
};

const texts: [string, string][] = [
  ['{"type":"pong","atMs":1}', 'accepted'],
  ['{"type":"bye","reason":"[[[[[[[[[[[[[[[[[[[[{{{{"}', 'accepted'],
  ['{"type":"bye","reason":"quote \\" then [[[[[[[[[[[[[[[["}', 'accepted'],
  ['', 'link/malformed'],
  ['{"type":"pong","atMs":1', 'link/malformed'],
  ['[]', 'link/invalid'],
  ['null', 'link/invalid'],
  ['"pong"', 'link/invalid'],
  ['{}', 'link/unknown-type'],
  ['{"type":"sudo"}', 'link/unknown-type'],
  ['{"type":"__proto__"}', 'link/unknown-type'],
  ['{"type":["pong"],"atMs":1}', 'link/unknown-type'],
  ['{"type":"pong"}', 'link/invalid'],
  ['{"type":"pong","atMs":"1"}', 'link/invalid'],
  ['{"type":"pong","atMs":1,"more":1}', 'link/invalid'],
  ['{"type":"pong","atMs":1,"__proto__":{"x":1}}', 'link/invalid'],
  ['{"type":"pong","atMs":1e999}', 'link/invalid'],
  [`{"type":"pong","atMs":${'['.repeat(100)}${']'.repeat(100)}}`, 'link/malformed'],
  ['['.repeat(100_000), 'link/malformed'],
];

test.each(texts.map(([text, code]) => [text.slice(0, 40), code, text]))('text %s: %s', (_start, code, text) => {
  expect(codeOf(() => parseMessage(WorkerMessage, text))).toBe(code);
});

test('message above the limit: link/oversized', () => {
  expect(codeOf(() => checkSize(MAX_CONTROL_BYTES))).toBe('accepted');
  expect(codeOf(() => checkSize(MAX_CONTROL_BYTES + 1))).toBe('link/oversized');
});

test('any text: parsed, or refused with a code', () => {
  const codes = ['accepted', 'link/malformed', 'link/unknown-type', 'link/invalid'];
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      expect(codes).toContain(codeOf(() => parseMessage(MasterMessage, text)));
    }),
    { numRuns: 2000 },
  );
});
