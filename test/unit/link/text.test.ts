/** Parsing of text frames, with malformed and hostile ones. */
import fc from 'fast-check';
import { errorCode } from '../../../src/lib/errors';
import { checkSize, parseMessage } from '../../../src/link/text';
import { MAX_CONTROL_BYTES, MasterMessage, WorkerMessage } from '../../../src/protocol/link';
import { blobName, commit, grant, openJob } from '../../support/worker-messages';

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

/** Messages that are valid but for one figure, which no honest side announces. */
const announced: [string, object, object][] = [
  ['bytes of a shard', grant('a'), { shard: { sha256: blobName('a'), bytes: 2 ** 41 } }],
  ['bytes of weights', grant('a'), { theta: { sha256: blobName('a'), bytes: 2 ** 41 } }],
  ['end of a lease', grant('a'), { end: 2 ** 41 }],
  ['blocks of a job', openJob(), { totalBlocks: 2 ** 41 }],
  ['vocabulary of a job', openJob(), { vocabSize: 2 ** 21 + 1 }],
];

test.each(announced)('too large %s: link/invalid for the worker', (_name, message, changes) => {
  expect(codeOf(() => parseMessage(MasterMessage, JSON.stringify(message)))).toBe('accepted');
  expect(codeOf(() => parseMessage(MasterMessage, JSON.stringify({ ...message, ...changes })))).toBe('link/invalid');
});

const pull = { type: 'blob.pull', transfer: 1, sha256: blobName('a'), bytes: 9, offset: 0, window: 9 };
test.each([
  ['bytes of an update', commit('a'), { update: { sha256: blobName('a'), bytes: 2 ** 41 } }],
  ['bytes of a pull', pull, { bytes: 2 ** 41 }],
  ['first window', pull, { window: 2 ** 30 }],
  ['window', { type: 'blob.window', transfer: 1, bytes: 1 }, { bytes: 2 ** 30 }],
])('too large %s: link/invalid for the master', (_name, message, changes) => {
  expect(codeOf(() => parseMessage(WorkerMessage, JSON.stringify(message)))).toBe('accepted');
  expect(codeOf(() => parseMessage(WorkerMessage, JSON.stringify({ ...message, ...changes })))).toBe('link/invalid');
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
