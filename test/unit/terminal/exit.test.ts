/** Exit statuses and what stderr shows of an error. */
import { CommanderError } from 'commander';
import { AppError } from '../../../src/lib/errors';
import { exitCodeOf, reportError } from '../../../src/terminal/exit';

const error = (code: string) => new AppError({ code }, `Something about ${code}.`);

describe('exitCodeOf', () => {
  test.each([
    ['config/invalid', 2],
    ['config/missing', 2],
    ['usage/bad-argument', 2],
    ['files/exists', 2],
    ['wallet/bad-key', 2],
    ['job/not-found', 3],
    ['registry/unknown-node', 3],
    ['rpc/not-found', 3],
    ['blobs/missing', 3],
    ['config/exposed-secret', 4],
    ['rpc/refused', 4],
    ['wallet/exposed', 4],
    ['wallet/wrong-password', 4],
    ['registry/other-owner', 4],
    ['blobs/no-access', 4],
    ['blobs/key-needed', 4],
    ['chain/unreachable', 5],
    ['chain/reverted', 5],
    ['store/unreachable', 1],
    ['runner/no-python', 1],
  ])('code %s: has its status', (code, status) => {
    expect(exitCodeOf(error(code))).toBe(status);
  });

  test('anything but an AppError: failure', () => {
    expect(exitCodeOf(new Error('x'))).toBe(1);
    expect(exitCodeOf('x')).toBe(1);
  });
  test('stopped, wrapped by a library: the stop counts', () =>
    expect(exitCodeOf(new Error('aborted', { cause: error('stopped') }))).toBe(130));
  test('help was shown: ok', () => expect(exitCodeOf(new CommanderError(0, 'commander.helpDisplayed', ''))).toBe(0));
  test('unknown option: usage', () => expect(exitCodeOf(new CommanderError(1, 'commander.unknownOption', ''))).toBe(2));
});

describe('reportError', () => {
  test('AppError: its sentence', () => expect(reportError(error('a/b'), false)).toBe('emeth: Something about a/b.'));
  test('stopped, wrapped by a library: the stop counts', () =>
    expect(reportError(new Error('aborted', { cause: error('stopped') }), false)).toBe(
      'emeth: Something about stopped.',
    ));
  test('--json: one JSON object', () => {
    expect(JSON.parse(reportError(error('a/b'), true) ?? '')).toEqual({
      error: { code: 'a/b', message: 'Something about a/b.' },
    });
  });
});

test('misuse that Commander finds: told as sentences, with where to look', () => {
  const misuse = (message: string) => reportError(new CommanderError(1, 'commander.misuse', message), false);
  expect(misuse('error: missing argument')).toBe('emeth: missing argument; add --help to see the usage.');
  expect(misuse('error: It is wrong.')).toBe('emeth: It is wrong. Add --help to see the usage.');
});
