/**
 * Why the invariants alone miss a mutation. They look at what is stored, who gets what and which calls
 * succeed, neither at the log nor at the errors of refusals, and no account of the crowd holds more than
 * there can be. The unit tests notice all of these.
 */
export const reasons = {
  'only the log differs':
    'An event says something else. The invariants look at what is stored; unit tests look at each event, and `test/contracts/replay.test.ts` compares the whole log with what is stored.',
  'only the error differs':
    'The call is refused as it must be, with another error. The invariants ask whether a call succeeds.',
  'amounts beyond the supply':
    'It shows from 2^119 on. No token of the crowd has that much; with one that had, the 120 bits of an account would overflow anyway.',
  'a call within a call':
    'A call from within the transfer of `burn` finds the books already right, so no account and no job differs. That no such call succeeds is a rule of its own.',
  'roles that the crowd keeps apart':
    'It takes an account with two roles at once: no verifier of the crowd runs a node.',
} as const;

export type Reason = keyof typeof reasons;
