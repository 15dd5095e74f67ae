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

test.each([
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
])('when %.60s comes: %s', (text, code) => {
  expect(codeOf(() => parseMessage(WorkerMessage, text))).toBe(code);
});

test('throws link/oversized', () => {
  expect(codeOf(() => checkSize(MAX_CONTROL_BYTES))).toBe('accepted');
  expect(codeOf(() => checkSize(MAX_CONTROL_BYTES + 1))).toBe('link/oversized');
});

test('survives any JSON and any text', () => {
  const codes = ['accepted', 'link/malformed', 'link/unknown-type', 'link/invalid'];
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      expect(codes).toContain(codeOf(() => parseMessage(MasterMessage, text)));
    }),
    { numRuns: 2000 },
  );
});
