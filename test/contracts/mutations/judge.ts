import { mutationsOf } from './mutation';

const twoEnds = 'Two ends would be open in the same second.';

/** What makes a verdict count: the state, the window, the result, the signatures. */
export const judgeMutations = mutationsOf('Verdicts', {
  'a verdict ends a job in any state': {
    find: 'if (state != State.SUBMITTED && !isDisputed) revert EmethCore_WrongState(jobId, state, State.SUBMITTED);',
    replace: '',
    why: 'A job could end twice, and pay twice.',
  },
  'no verdict while it is disputed': {
    find: 'if (state != State.SUBMITTED && !isDisputed)',
    replace: 'if (state != State.SUBMITTED)',
    why: 'No dispute could be decided.',
  },
  'a verdict counts only while it is disputed': {
    find: 'if (state != State.SUBMITTED && !isDisputed)',
    replace: 'if (!isDisputed)',
    why: 'No result could be verified before somebody pays a bond.',
  },
  'a verdict never finds a dispute': {
    find: 'isDisputed = state == State.DISPUTED;',
    replace: 'isDisputed = false;',
    why: 'No dispute could be decided.',
  },
  'a wrong state is told as another': {
    find: 'revert EmethCore_WrongState(jobId, state, State.SUBMITTED);',
    replace: 'revert EmethCore_WrongState(jobId, State.SUBMITTED, state);',
    why: 'A verifier would be told that the job is where it has to be.',
  },
  'a verdict refuses the last second': {
    find: 'if (block.timestamp > end && (isDisputed',
    replace: 'if (block.timestamp >= end && (isDisputed',
    why: 'A verdict in the last second would be refused.',
  },
  'a verdict has a second more': {
    find: '(since + rules.verdictWindow, rules.quorum);',
    replace: '(since + rules.verdictWindow + 1, rules.quorum);',
    why: twoEnds,
  },
  'a verdict has as long as a claim': {
    find: '(since + rules.verdictWindow, rules.quorum);',
    replace: '(since + rules.claimWindow, rules.quorum);',
    why: 'A node could lose its penalty long after its result stands.',
  },
  'a verdict is always in time': {
    find: 'if (block.timestamp > end && (isDisputed || !accepted)) revert EmethCore_DeadlinePassed(jobId, uint40(end));',
    replace: '',
    why: 'A dispute could be decided after anybody may unwind it.',
  },
  'late and disputed is not late': {
    find: '(isDisputed || !accepted)',
    replace: '(isDisputed && !accepted)',
    why: 'An undisputed result could be rejected for ever after.',
  },
  'one verifier is a quorum': {
    find: '(since + rules.verdictWindow, rules.quorum);',
    replace: '(since + rules.verdictWindow, 1);',
    why: 'One stolen key could judge every job.',
  },
  'a verdict goes by the present terms': {
    find: 'rules = _terms[termsId];',
    replace: 'rules = _terms[currentTerms];',
    why: 'New terms would change what a job has locked.',
  },
  'the reason is nobody signed': {
    find: 'abi.encode(ATTESTATION, jobId, commitment, accepted, reasonHash)',
    replace: 'abi.encode(ATTESTATION, jobId, commitment, accepted, bytes16(0))',
    why: 'Whoever brings the signatures could choose the reason.',
  },
  'a verdict for is one against': {
    find: 'abi.encode(ATTESTATION, jobId, commitment, accepted, reasonHash)',
    replace: 'abi.encode(ATTESTATION, jobId, commitment, true, reasonHash)',
    why: 'The signatures for a result could reject it.',
  },
  'an attestation fits every result': {
    find: 'abi.encode(ATTESTATION, jobId, commitment, accepted',
    replace: 'abi.encode(ATTESTATION, jobId, bytes20(0), accepted',
    why: 'What was signed of one result would count for another.',
  },
  'an attestation is signed under another type': {
    find: 'bool accepted,bytes16 reasonHash)"',
    replace: 'bool accepted,bytes32 reasonHash)"',
    why: 'What wallets sign would count for nothing.',
  },
  'a cut attestation is let through': {
    find: 'if (attestations.length % SIGNATURE != 0) revert EmethCore_AttestationsCut(attestations.length);',
    replace: '',
    why: 'It would fail without a word of what is wrong.',
  },
  'one attestation only': {
    find: 'attestations.length % SIGNATURE != 0',
    replace: 'attestations.length != SIGNATURE',
    why: 'No quorum of more than two could be reached.',
  },
  'the length of the attestations is told as cut': {
    find: 'EmethCore_AttestationsCut(attestations.length)',
    replace: 'EmethCore_AttestationsCut(attestations.length % SIGNATURE)',
    why: 'The error would name another length than was sent.',
  },
  'the first attestation counts for all': {
    find: 'attestations[i:i + SIGNATURE]',
    replace: 'attestations[0:SIGNATURE]',
    why: 'No quorum could be reached.',
  },
  'only the first attestation counts': {
    find: 'i < attestations.length; i += SIGNATURE',
    replace: 'i < SIGNATURE; i += SIGNATURE',
    why: 'No quorum of more than two could be reached.',
  },
  'the order of signers is not looked at': {
    find: 'before = signer;',
    replace: '',
    why: 'One verifier would be a quorum.',
  },
  'the caller earns nothing beside signers': {
    find: 'if (earner == address(0)) earner = first;',
    replace: 'earner = first;',
    why: 'The verifier that brings the verdict would pay the gas for another.',
  },
  'signers replace the caller': {
    find: 'count += others;',
    replace: 'count = others;',
    why: 'A quorum of two would need a third.',
  },
  'nobody is told as too few': {
    find: 'if (count == 0) revert EmethCore_NotVerifier(msg.sender);',
    replace: '',
    why: 'Who is no verifier would not be told so.',
  },
  'any quorum is enough': {
    find: 'revert EmethCore_QuorumNotReached(count, quorum);',
    replace: '',
    why: 'One verifier could judge where several are needed.',
  },
  'rejectResult counts attestations that accept': {
    find: '_judge(jobId, commitment, false, reasonHash, attestations);',
    replace: '_judge(jobId, commitment, true, reasonHash, attestations);',
    why: 'The votes for a result could reject it.',
  },
  'rejectResult keeps back the burnt part': {
    find: '(fee + verifierFee + burnFee, fee - penalty',
    replace: '(fee + verifierFee, fee - penalty',
    why: 'The money would stay in the escrow for ever.',
  },
  'rejectResult leaves a dispute as it is': {
    find: 'if (isDisputed) lost -= _winChallenge(jobId, penalty);',
    replace: '',
    why: 'The bond would stay in the escrow for ever.',
  },
  'rejectResult gives the requester the penalty': {
    find: '_accounts[node].oweAndForfeit(returned, lost);',
    replace: '_accounts[node].oweAndForfeit(returned, 0);',
    why: 'The tokens would stay in the escrow for ever.',
  },
  'rejectResult books the loss for the requester': {
    find: '_accounts[node].oweAndForfeit(returned, lost);',
    replace: '_accounts[node].owe(returned);\n        _accounts[requester].oweAndForfeit(0, lost);',
    why: 'The books would show the requester as the one that lost.',
  },
  'rejectResult pays no verifier': {
    find: '_accounts[verifier].owe(verifierFee);',
    replace: '',
    why: 'No verifier would look for bad results.',
  },
  'rejectResult leaves the job open': {
    find: '_endSubmitted(job, State.FAILED);',
    replace: '',
    why: 'A job could be rejected again and again, each time for money.',
  },
  'verify pays the challenger for nothing': {
    find: 'if (isDisputed) _loseChallenge(jobId, job, rules);',
    replace: 'if (isDisputed) _winChallenge(jobId, _part(job.fee, rules.penaltyBps));',
    why: 'The escrow would owe more than it has.',
  },
});
