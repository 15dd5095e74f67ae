/** Who may read what: every state of a job, every reader, every kind of blob. */
import { type BlobRole, judgeRead, type ReadCase, type ReaderRole } from '../../../src/domain/blob-access';
import { chainStates } from '../../../src/domain/job';

const parties: readonly ReaderRole[] = ['requester', 'node', 'verifier'];
const outsiders: readonly ReaderRole[] = ['activeNode', 'stranger'];
const readers: readonly ReaderRole[] = [...parties, ...outsiders];
const held = (role: BlobRole) => ({ role, isHeld: true });
const ask = (reader: ReaderRole, changes: Partial<ReadCase> = {}) =>
  judgeRead({ state: 'SUBMITTED', isLate: false, isPublic: false, reader, blob: held('data'), ...changes });

describe.each(chainStates)('%s job', (state) => {
  test.each(readers)('%s: reads data as a party, or as a node that may take it', (reader) => {
    const mayRead = parties.includes(reader) || (reader === 'activeNode' && state === 'REQUESTED');
    expect(ask(reader, { state })).toBe(mayRead ? 'served' : 'refused');
  });

  test.each(readers)('%s: reads work as a party only', (reader) => {
    expect(ask(reader, { state, blob: held('work') })).toBe(parties.includes(reader) ? 'served' : 'refused');
  });

  test.each(readers)('%s: reads its records', (reader) => {
    expect(ask(reader, { state, blob: held('record') })).toBe('served');
  });

  test.each(readers)('%s: learns as a party only what the job does not name', (reader) => {
    expect(ask(reader, { state, blob: undefined })).toBe(parties.includes(reader) ? 'absent' : 'refused');
  });

  test.each(readers)('%s: reads all of a public one', (reader) => {
    for (const role of ['data', 'work', 'record'] as const)
      expect(ask(reader, { state, isPublic: true, blob: held(role) })).toBe('served');
    expect(ask(reader, { state, isPublic: true, blob: undefined })).toBe('absent');
  });
});

test("another's blob named in a job of one's own: absent, also where the job is public", () => {
  for (const role of ['data', 'work'] as const) {
    const blob = { role, isHeld: false };
    for (const reader of parties) expect(ask(reader, { blob })).toBe('absent');
    for (const reader of outsiders) expect(ask(reader, { blob })).toBe('refused');
    for (const reader of readers) expect(ask(reader, { blob, isPublic: true })).toBe('absent');
    expect(ask('activeNode', { state: 'REQUESTED', blob })).toBe(role === 'data' ? 'absent' : 'refused');
  }
});

test('open job past its deadline: no node may take it, so none reads its data', () => {
  expect(ask('activeNode', { state: 'REQUESTED', isLate: true })).toBe('refused');
  expect(ask('requester', { state: 'REQUESTED', isLate: true })).toBe('served');
});
