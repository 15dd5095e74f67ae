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
  'the penalty may be higher': { find: 'next.penaltyBps <= 5_000', replace: 'next.penaltyBps <= 5_001', why: bound },
  'the penalty may not be as high': {
    find: 'next.penaltyBps <= 5_000',
    replace: 'next.penaltyBps < 5_000',
    why: 'The bound would not be the one that is documented.',
  },
  'the verifier may earn more than a quarter of the penalty': {
    find: 'next.verifierBps <= next.penaltyBps / 4',
    replace: 'next.verifierBps <= next.penaltyBps / 4 + 1',
    why: 'Rejecting would earn more than is lost.',
  },
  'declining may cost more than failing': {
    find: ' && next.declineBps <= next.penaltyBps\n',
    replace: '\n',
    why: bound,
  },
  'the tip may be higher': { find: 'next.tipBps <= 1_000', replace: 'next.tipBps <= 1_001', why: bound },
  'the burnt part may be higher': { find: 'next.burnBps <= 2_000', replace: 'next.burnBps <= 2_001', why: bound },
  'the quorum may be none': { find: ' && next.quorum > 0', replace: '', why: 'Nothing would be judged.' },
  'the fee may be none': {
    find: ' && next.minFee > 0',
    replace: '',
    why: 'Jobs that cost nothing would flood the queue.',
  },
  'work may need longer': { find: 'next.minWork <= 1 days', replace: 'next.minWork <= 1 days + 1', why: bound },
  'the verdict may have less time': {
    find: 'next.verdictWindow >= 10 minutes',
    replace: 'next.verdictWindow >= 10 minutes - 1',
    why: bound,
  },
  'the verdict may have more time': {
    find: 'next.verdictWindow <= 14 days',
    replace: 'next.verdictWindow <= 14 days + 1',
    why: bound,
  },
  'claims may have less time': {
    find: 'next.claimWindow >= 7 days',
    replace: 'next.claimWindow >= 7 days - 1',
    why: bound,
  },
  'claims may have more time': {
    find: '<= 180 days',
    replace: '<= 180 days + 1',
    why: bound,
  },
});
