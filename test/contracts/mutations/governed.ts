import { mutationsOf } from './mutation';

const bound = 'Terms that trap or rob could be set.';

export const governedMutations = mutationsOf('Governed', {
  'setTerms is open to anybody': {
    find: 'function setTerms(Terms calldata next) external onlyRole(DEFAULT_ADMIN_ROLE) {',
    replace: 'function setTerms(Terms calldata next) external {',
    why: 'Anybody could set the rules.',
  },
  'setTerms changes the terms of running jobs': {
    find: '_setTerms(++currentTerms, next);',
    replace: '_setTerms(currentTerms, next);',
    why: 'What a job has locked would not be what comes out.',
  },
  'setRegistry is open to anybody': {
    find: 'function setRegistry(address next) external onlyRole(DEFAULT_ADMIN_ROLE) {',
    replace: 'function setRegistry(address next) external {',
    why: 'Anybody could say who may take jobs.',
  },
  'setPaused is open to anybody': {
    find: 'function setPaused(bool next) external onlyRole(PAUSER_ROLE) {',
    replace: 'function setPaused(bool next) external {',
    why: 'Anybody could stop the escrow.',
  },
  'setPaused does nothing': {
    find: 'paused = next;',
    replace: '',
    why: 'Nothing could be stopped.',
  },
  'setPaused tells the opposite': {
    find: 'emit PausedChanged(next);',
    replace: 'emit PausedChanged(!next);',
    why: 'Nodes would go on asking.',
  },
  'the administrator changes at once': {
    find: 'ADMIN_DELAY = 2 days',
    replace: 'ADMIN_DELAY = 0',
    why: 'A theft of the key could not be seen coming.',
  },
  'the first verifiers are none': {
    find: '_grantRole(VERIFIER_ROLE, verifiers[i]);',
    replace: '_grantRole(PAUSER_ROLE, verifiers[i]);',
    why: 'Nobody could judge, and verifiers could stop the escrow.',
  },
  'another registry is another number': {
    find: '(next, registryNumber + 1);',
    replace: '(next, registryNumber);',
    why: 'The nodes of the registry before would stay in.',
  },
  'the penalty may be lower': {
    find: 'next.penaltyBps, 100, 5_000',
    replace: 'next.penaltyBps, 99, 5_000',
    why: 'A challenge would cost too little.',
  },
  'the penalty may not be as low': {
    find: 'next.penaltyBps, 100, 5_000',
    replace: 'next.penaltyBps, 101, 5_000',
    why: 'The bound would not be the one that is documented.',
  },
  'the penalty may be higher': {
    find: 'next.penaltyBps, 100, 5_000',
    replace: 'next.penaltyBps, 100, 5_001',
    why: bound,
  },
  'the penalty may not be as high': {
    find: 'next.penaltyBps, 100, 5_000',
    replace: 'next.penaltyBps, 100, 4_999',
    why: 'The bound would not be the one that is documented.',
  },
  'the verifier may earn more than a quarter of the penalty': {
    find: 'next.verifierBps, 0, next.penaltyBps / 4',
    replace: 'next.verifierBps, 0, next.penaltyBps / 4 + 1',
    why: 'Rejecting would earn more than is lost.',
  },
  'declining may cost more than failing': {
    find: 'next.declineBps, 0, next.penaltyBps)',
    replace: 'next.declineBps, 0, next.penaltyBps + 1)',
    why: bound,
  },
  'the tip may be higher': { find: 'next.tipBps, 0, 1_000', replace: 'next.tipBps, 0, 1_001', why: bound },
  'the burnt part may be higher': { find: 'next.burnBps, 0, 2_000', replace: 'next.burnBps, 0, 2_001', why: bound },
  'the quorum may be none': {
    find: 'next.quorum, 1, 16',
    replace: 'next.quorum, 0, 16',
    why: 'Nothing would be judged.',
  },
  'the quorum may be higher': {
    find: 'next.quorum, 1, 16',
    replace: 'next.quorum, 1, 17',
    why: 'More signatures could be needed than anybody gathers.',
  },
  'the fee may be none': {
    find: 'next.minFee, 1, 1_000_000 ether',
    replace: 'next.minFee, 0, 1_000_000 ether',
    why: 'Jobs that cost nothing would flood the queue.',
  },
  'the least fee may be higher': {
    find: 'next.minFee, 1, 1_000_000 ether',
    replace: 'next.minFee, 1, 1_000_000 ether + 1',
    why: 'Nobody could pay for a job.',
  },
  'work may need longer': { find: 'next.minWork, 0, 1 days', replace: 'next.minWork, 0, 1 days + 1', why: bound },
  'the verdict may have less time': {
    find: 'next.verdictWindow, 10 minutes, 14 days',
    replace: 'next.verdictWindow, 10 minutes - 1, 14 days',
    why: bound,
  },
  'the verdict may have more time': {
    find: 'next.verdictWindow, 10 minutes, 14 days',
    replace: 'next.verdictWindow, 10 minutes, 14 days + 1',
    why: bound,
  },
  'claims may have less time': {
    find: 'next.claimWindow, 7 days, 180 days',
    replace: 'next.claimWindow, 7 days - 1, 180 days',
    why: bound,
  },
  'claims may have more time': {
    find: 'next.claimWindow, 7 days, 180 days',
    replace: 'next.claimWindow, 7 days, 180 days + 1',
    why: bound,
  },
  'bounds are no bounds from below': {
    find: 'value < least || value > most',
    replace: 'value > most',
    why: bound,
  },
  'bounds are no bounds from above': {
    find: 'value < least || value > most',
    replace: 'value < least',
    why: bound,
  },
  'a bound itself is out of bounds': {
    find: 'value > most',
    replace: 'value >= most',
    why: 'The bounds would not be the ones that are documented.',
  },
  'the bound from below is out of bounds': {
    find: 'value < least',
    replace: 'value <= least',
    why: 'The bounds would not be the ones that are documented.',
  },
  'bounds are told the wrong way round': {
    find: 'TermsOutOfBounds(field, value, least, most)',
    replace: 'TermsOutOfBounds(field, value, most, least)',
    why: 'The administrator would be told bounds that cannot be kept.',
  },
  'a field out of bounds is told by another name': {
    find: '"quorum", next.quorum',
    replace: '"minWork", next.quorum',
    why: 'The administrator would change a field that is right.',
  },
  'setTerms keeps nothing': {
    find: '_terms[termsId] = next;',
    replace: '',
    why: 'Jobs would be taken without any rules.',
  },
  'setTerms tells another number': {
    find: 'emit TermsChanged(termsId, next);',
    replace: 'emit TermsChanged(0, next);',
    why: 'Whoever reads the log would go by wrong terms.',
  },
});
