/** What ends an assignment on the worker's side, by its kind. */
import { Address, JobId, Sha256 } from '../../../src/domain/ids';
import { type Assignment, type AssignmentEvents, closingMessage } from '../../../src/fleet/assignment';

const events: AssignmentEvents = { onJoin() {}, onMessage() {}, onAway() {}, onExpelled() {} };
const jobId = JobId.parse(`0x${'2'.repeat(32)}`);

test('job over: the worker drops it, with the reason', () => {
  expect(closingMessage({ kind: 'job', jobId, events }, 'done')).toEqual({ type: 'job.close', jobId, reason: 'done' });
});

test('probe over: the worker stops it, with the reason', () => {
  const closing = closingMessage({ kind: 'probe', probeId: 'a', events }, 'done');
  expect(closing).toEqual({ type: 'probe.close', probeId: 'a', reason: 'done' });
});

test.each<[string, Assignment]>([
  ['inference', { kind: 'inference', model: Sha256.parse('a'.repeat(64)), events }],
  ['rental', { kind: 'rental', rentalId: 'a', tenant: Address.parse(`0x${'1'.repeat(40)}`), events }],
])('%s over: no message, as the link has none for it', (_kind, assignment) => {
  expect(closingMessage(assignment, 'done')).toBeUndefined();
});
