/** The steps of a sender that leave something behind. Apart, because a process of tests loads it too. */
/** The store calls and requests that change something outside the process. All other steps only read. */
export const effects: readonly string[] = [
  'begin',
  'saveAttempt',
  'markMined',
  'markFailed',
  'markFinal',
  'reopen',
  'eth_sendRawTransaction',
];
