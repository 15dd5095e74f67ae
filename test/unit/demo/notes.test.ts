/** What the demo finds in the master's log about a worker that cheats. */
import { findNotes } from '../../../src/demo/notes';

const worker = `0x${'c4'.repeat(20)}`;
const line = (fields: object) =>
  `${JSON.stringify({ level: 'warn', message: 'Update rejected', worker, ...fields })}\n`;

test.each<[string, string, string[]]>([
  ['a warning with its reason', line({ reason: 'it is not finite' }), ['Update rejected: it is not finite']],
  ['a warning without a reason', line({}), ['Update rejected']],
  ['the same warning twice', line({}) + line({}), ['Update rejected']],
  [
    'a false claim',
    line({ level: 'info', message: 'Worker claims another time than was measured' }),
    ['Worker claims another time than was measured'],
  ],
  ['what is no warning', line({ level: 'info' }), []],
  ['a warning about somebody else', line({ worker: '0x1' }), []],
  ['a line that is still being written', line({}).slice(0, -3), []],
])('%s: is told once, if at all', (_name, log, notes) => {
  expect(findNotes(log, worker)).toEqual(notes);
});
