import { mutationsOf } from './mutation';

const outgrows = 'What is above 120 bits would be taken for another field of the word.';

/** The packed word: a wrong mask or shift lets one field of an account speak for another. */
export const accountMutations = mutationsOf('Account', {
  'credit reads what is forfeited as well': {
    find: 'return uint120(account.word);',
    replace: 'return account.word;',
    why: 'What an account lost it could still spend.',
  },
  'credit loses its upper half': {
    find: 'return uint120(account.word);',
    replace: 'return uint64(account.word);',
    why: 'Whoever is owed more than 18 EMT would lose the rest.',
  },
  'forfeited reads the credit': {
    find: 'return uint120(account.word >> FORFEITED);',
    replace: 'return uint120(account.word);',
    why: 'Anybody could burn what others are owed.',
  },
  'forfeited reads registry and role as well': {
    find: 'return uint120(account.word >> FORFEITED);',
    replace: 'return account.word >> FORFEITED;',
    why: 'Nothing of an active node or a verifier could be burnt.',
  },
  'what is forfeited begins a bit lower': {
    find: 'FORFEITED = 120',
    replace: 'FORFEITED = 119',
    why: 'The highest bit of a credit would be taken for a loss.',
  },
  'what is forfeited begins a bit higher': {
    find: 'FORFEITED = 120',
    replace: 'FORFEITED = 121',
    why: 'A credit above 120 bits would be cut when it is read.',
  },
  'the registry is a bit lower': {
    find: 'ACTIVE_IN = 240',
    replace: 'ACTIVE_IN = 239',
    why: 'A loss of 2^119 would make a node active.',
  },
  'the registry begins a byte lower': {
    find: 'ACTIVE_IN = 240',
    replace: 'ACTIVE_IN = 232',
    why: 'What a node forfeits could make it active.',
  },
  'the role is where the registry is': {
    find: 'VERIFIER = 248',
    replace: 'VERIFIER = 240',
    why: 'Every active node could judge.',
  },
  'the role is a bit lower': {
    find: 'VERIFIER = 248',
    replace: 'VERIFIER = 247',
    why: 'From the 128th registry on, every active node could judge.',
  },
  'the role is a bit higher': {
    find: 'VERIFIER = 248',
    replace: 'VERIFIER = 249',
    why: 'None.',
    equivalent: 'Bits 248 to 255 hold nothing but the role, so it may be any of them.',
  },
  'the number of the registry loses a bit': {
    find: 'return uint8(account.word >> ACTIVE_IN);',
    replace: 'return uint8(account.word >> ACTIVE_IN) & 0x7f;',
    why: 'From the 128th registry on, no node could take a job.',
  },
  'any bit makes a verifier': {
    find: 'return account.word >> VERIFIER != 0;',
    replace: 'return account.word != 0;',
    why: 'Whoever has credit could judge.',
  },
  'nobody is a verifier': {
    find: 'return account.word >> VERIFIER != 0;',
    replace: 'return account.word >> VERIFIER == 2;',
    why: 'Nothing could be judged.',
  },
  'owe may outgrow the credit': {
    find: 'if (uint120(word) + amount >> FORFEITED != 0) revert IEmethCore.EmethCore_TooMuchCredit(amount);',
    replace: '',
    why: outgrows,
  },
  'owe looks at the amount alone': {
    find: 'if (uint120(word) + amount >> FORFEITED != 0)',
    replace: 'if (amount >> FORFEITED != 0)',
    why: outgrows,
  },
  'owe refuses an account that forfeited': {
    find: 'if (uint120(word) + amount >> FORFEITED != 0)',
    replace: 'if (word + amount >> FORFEITED != 0)',
    why: 'Verifiers, active nodes and whoever lost something could be paid nothing.',
  },
  'owe allows a bit more': {
    find: 'if (uint120(word) + amount >> FORFEITED != 0)',
    replace: 'if (uint120(word) + amount >> FORFEITED > 1)',
    why: outgrows,
  },
  'owe forgets what was owed': {
    find: 'account.word = word + amount;',
    replace: 'account.word = amount;',
    why: 'Every payment would take what was owed before, and the role.',
  },
  'owe keeps the rest and forgets what was owed': {
    find: 'account.word = word + amount;',
    replace: 'account.word = (word >> FORFEITED << FORFEITED) + amount;',
    why: 'Every payment would take what was owed before.',
  },
  'owe adds nothing': {
    find: 'account.word = word + amount;',
    replace: '',
    why: 'The money would stay in the escrow for ever.',
  },
  'owe takes instead of giving': {
    find: 'account.word = word + amount;',
    replace: 'account.word = word - amount;',
    why: 'Who is paid would lose it.',
  },
  'what is lost is not bounded': {
    find: 'uint120(word) + owed | uint120(word >> FORFEITED) + lost;',
    replace: 'uint120(word) + owed;',
    why: 'A loss could make its node active in another registry, or a verifier.',
  },
  'what is owed beside a loss is not bounded': {
    find: 'uint120(word) + owed | uint120(word >> FORFEITED) + lost;',
    replace: 'uint120(word >> FORFEITED) + lost;',
    why: outgrows,
  },
  'what was lost before is not bounded': {
    find: 'uint120(word) + owed | uint120(word >> FORFEITED) + lost;',
    replace: 'uint120(word) + owed | lost;',
    why: 'Losses could make their node active in another registry, or a verifier.',
  },
  'both have to be too much': {
    find: 'uint120(word) + owed | uint120(word >> FORFEITED) + lost;',
    replace: '(uint120(word) + owed) & (uint120(word >> FORFEITED) + lost);',
    why: outgrows,
  },
  'oweAndForfeit is not bounded': {
    find: 'if (either >> FORFEITED != 0) revert IEmethCore.EmethCore_TooMuchCredit(owed + lost);',
    replace: '',
    why: outgrows,
  },
  'oweAndForfeit books no loss': {
    find: 'account.word = word + owed + (lost << FORFEITED);',
    replace: 'account.word = word + owed;',
    why: 'The tokens would stay in the escrow for ever.',
  },
  'oweAndForfeit pays nothing': {
    find: 'account.word = word + owed + (lost << FORFEITED);',
    replace: 'account.word = word + (lost << FORFEITED);',
    why: 'The money would stay in the escrow for ever.',
  },
  'oweAndForfeit pays the loss as well': {
    find: 'account.word = word + owed + (lost << FORFEITED);',
    replace: 'account.word = word + owed + lost + (lost << FORFEITED);',
    why: 'The escrow would owe more than it has.',
  },
  'oweAndForfeit forgets the earlier loss': {
    find: 'account.word = word + owed + (lost << FORFEITED);',
    replace: 'account.word = word - (uint256(uint120(word >> FORFEITED)) << FORFEITED) + owed + (lost << FORFEITED);',
    why: 'The tokens of the earlier loss would stay in the escrow for ever.',
  },
  'spend takes nothing': {
    find: 'account.word -= amount;',
    replace: '',
    why: 'Anybody could empty the escrow.',
  },
  'clearForfeited clears the credit': {
    find: 'account.word -= account.forfeited() << FORFEITED;',
    replace: 'account.word -= account.forfeited();',
    why: 'Burning a loss would take as much of the credit, again and again.',
  },
  'clearForfeited clears the whole account': {
    find: 'account.word -= account.forfeited() << FORFEITED;',
    replace: 'account.word = 0;',
    why: 'Anybody could take the credit and the role of others.',
  },
  'clearForfeited keeps only the credit': {
    find: 'account.word -= account.forfeited() << FORFEITED;',
    replace: 'account.word = account.credit();',
    why: 'Anybody could put a node out of service, and a verifier out of office.',
  },
  'clearForfeited clears nothing': {
    find: 'account.word -= account.forfeited() << FORFEITED;',
    replace: '',
    why: 'Anybody could burn the money of others.',
  },
  'setActiveIn only ever adds bits': {
    find: 'account.word & ~(uint256(type(uint8).max) << ACTIVE_IN) | uint256(registryNumber) << ACTIVE_IN',
    replace: 'account.word | uint256(registryNumber) << ACTIVE_IN',
    why: 'A node that left would stay active.',
  },
  'setActiveIn forgets the money': {
    find: 'account.word & ~(uint256(type(uint8).max) << ACTIVE_IN) | uint256(registryNumber) << ACTIVE_IN',
    replace: 'account.word & uint256(1) << VERIFIER | uint256(registryNumber) << ACTIVE_IN',
    why: 'The registry could take what a node is owed.',
  },
  'setActiveIn takes the role': {
    find: '~(uint256(type(uint8).max) << ACTIVE_IN)',
    replace: '~(uint256(type(uint16).max) << ACTIVE_IN)',
    why: 'A verifier that also runs a node could no longer judge.',
  },
  'setActiveIn clears one bit of the earlier registry': {
    find: '~(uint256(type(uint8).max) << ACTIVE_IN)',
    replace: '~(uint256(1) << ACTIVE_IN)',
    why: 'A node of the second registry would stay active when it leaves.',
  },
  'setVerifier only ever appoints': {
    find: 'account.word & ~(uint256(1) << VERIFIER) | uint256(next ? 1 : 0) << VERIFIER',
    replace: 'account.word | uint256(next ? 1 : 0) << VERIFIER',
    why: 'A stolen key could judge for ever.',
  },
  'setVerifier forgets the money': {
    find: 'account.word & ~(uint256(1) << VERIFIER) | uint256(next ? 1 : 0) << VERIFIER',
    replace: 'uint256(next ? 1 : 0) << VERIFIER',
    why: 'The administrator could take what an account is owed.',
  },
  'setVerifier puts the node out of service': {
    find: '~(uint256(1) << VERIFIER)',
    replace: '~(uint256(0x101) << ACTIVE_IN)',
    why: 'A node that also verifies could take no job.',
  },
  'setVerifier does the opposite': {
    find: 'uint256(next ? 1 : 0) << VERIFIER',
    replace: 'uint256(next ? 0 : 1) << VERIFIER',
    why: 'Whoever was dismissed could judge.',
  },
});
