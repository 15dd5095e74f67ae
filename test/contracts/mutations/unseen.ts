/**
 * What the invariants alone do not notice, and why. They see what is stored, who gets what, and which calls go through; they look
 * neither at the log nor at the reasons of refusals, and nobody in the crowd has more than there can be. All of that is the unit
 * tests' business, which do notice it.
 */
export const reasons = {
  'the log':
    'Only an event says something else. The invariants look at what is stored; unit tests look at each event, and `test/contracts/replay.test.ts` compares the whole log with what is stored.',
  'the words of a refusal':
    'The call is refused as it must be, and only its error says something else. The invariants ask whether a call goes through.',
  'amounts beyond the supply':
    'It shows from 2^119 on. No token of the crowd has as much; with one that had, the books would be at an end anyway.',
  'a call within a call':
    'What is entered from within the transfer of `burn` finds the books already right, so that no account and no job differs. That nothing comes in is a rule of its own.',
  'parts that the crowd keeps apart':
    'It takes an account with two parts at once: no verifier of the crowd runs a node.',
} as const;

export type Reason = keyof typeof reasons;

/** By the name of the mutation. */
export const unseen: Readonly<Record<string, Reason>> = {
  'EmethCore/request tells burnt part and verifier fee the wrong way round': 'the log',
  'EmethCore/process tells of another deposit': 'the log',
  'EmethCore/decline tells penalty and rest the wrong way round': 'the log',
  'EmethCore/timeout tells of the penalty with the tip': 'the log',
  'Verdicts/verify is told as settled by time': 'the log',
  'Verdicts/a verified job is told with its fee as payout': 'the log',
  'CreditBook/use of credit is told as the whole price': 'the log',
  'Verdicts/the length of the attestations is told as cut': 'the words of a refusal',
  'Account/owe looks at the amount alone': 'amounts beyond the supply',
  'Account/owe allows a bit more': 'amounts beyond the supply',
  'Account/both have to be too much': 'amounts beyond the supply',
  'Account/setActiveIn takes the role': 'parts that the crowd keeps apart',
  'CreditBook/burn can be entered from within a transfer': 'a call within a call',
};
