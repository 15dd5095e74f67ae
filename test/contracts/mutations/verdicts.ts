import { mutationsOf } from './mutation';

export const verdictMutations = mutationsOf('Verdicts', {
  'verify comes too late in a dispute': {
    find: '(isDisputed || !accepted)',
    replace: '!accepted',
    why: 'A dispute could be decided after anybody may unwind it.',
  },
  'verify needs the window without a dispute': {
    find: 'block.timestamp > end && (isDisputed || !accepted)',
    replace: 'block.timestamp > end',
    why: 'A late verifier would not get its fee.',
  },
  'any result is judged': {
    find: 'if (commitment != job.commitment) revert EmethCore_WrongResult(jobId, commitment);',
    replace: '',
    why: 'A verdict about one result would count for another.',
  },
  'verify counts attestations that reject': {
    find: '_judge(jobId, commitment, true, bytes16(0), attestations);',
    replace: '_judge(jobId, commitment, false, bytes16(0), attestations);',
    why: 'A result could stand by the votes against it.',
  },
  'verify leaves the bond where it is': {
    find: 'if (isDisputed) _loseChallenge(jobId, job, rules);',
    replace: '',
    why: 'The bond would stay in the escrow for ever.',
  },
  'verify is told as settled by time': {
    find: 'Verdict.VERIFIERS',
    replace: 'Verdict.TIME',
    why: 'Whoever reads the log would not know who judged.',
  },
  'rejectResult comes too late': {
    find: '(isDisputed || !accepted)',
    replace: 'isDisputed',
    why: 'A node could lose its penalty for ever after.',
  },
  'rejectResult rejects any result': {
    find: 'if (commitment != job.commitment) revert EmethCore_WrongResult(jobId, commitment);',
    replace: 'if (commitment != job.commitment && accepted) revert EmethCore_WrongResult(jobId, commitment);',
    why: 'A verdict about one result would count for another.',
  },
  'rejectResult takes any reason for signed': {
    find: '_judge(jobId, commitment, false, reasonHash, attestations);',
    replace: '_judge(jobId, commitment, false, bytes16(0), attestations);',
    why: 'Whoever brings the signatures could choose the reason.',
  },
  'rejectResult needs one verifier': {
    find: '_requireQuorum(jobId, commitment, quorum, accepted',
    replace: '_requireQuorum(jobId, commitment, accepted ? quorum : 1, accepted',
    why: "One verifier could take a node's penalty.",
  },
  "rejectResult burns the verifier's fee too": {
    find: 'fee - penalty, penalty - verifierFee);',
    replace: 'fee - penalty, penalty);',
    why: 'The escrow would owe more than it has.',
  },
  'rejectResult pays the challenger out of nothing': {
    find: 'lost -= _winChallenge(jobId, penalty);',
    replace: '_winChallenge(jobId, penalty);',
    why: 'The escrow would owe more than it has.',
  },
  'rejectResult refunds the node': {
    find: '_accounts[requester].owe(refund);',
    replace: '_accounts[node].owe(refund);',
    why: 'A bad result would pay.',
  },
  'rejectResult takes no penalty': {
    find: '_accounts[node].oweAndForfeit(returned, lost);',
    replace: '_accounts[node].oweAndForfeit(fee, lost);',
    why: 'The escrow would owe more than it has.',
  },
  'rejectResult pays the caller': {
    find: '_accounts[verifier].owe(verifierFee);',
    replace: '_accounts[msg.sender].owe(verifierFee);',
    why: 'Copying signatures out of a waiting transaction would pay.',
  },
  'rejectResult ends as unverified': {
    find: '_endSubmitted(job, State.FAILED);',
    replace: '_endSubmitted(job, State.UNVERIFIED);',
    why: 'The state would not say what happened.',
  },
  'rejectResult tells of the whole deposit': {
    find: 'emit JobRejected(jobId, reasonHash, refund, returned, lost',
    replace: 'emit JobRejected(jobId, reasonHash, refund, fee, lost',
    why: 'Whoever reads the log would book wrong amounts.',
  },
  'accept is open to anybody': {
    find: 'if (msg.sender != job.requester) revert EmethCore_NotRequester(jobId, msg.sender);',
    replace: '',
    why: 'A node could accept its own result.',
  },
  'accept is told as settled by time': {
    find: 'Verdict.REQUESTER',
    replace: 'Verdict.TIME',
    why: 'Whoever reads the log would not know who judged.',
  },
  'finalize comes too early': {
    find: '// Check: no verdict came in its window.\n        _requireWindowOver(jobId, job.time, rules);',
    replace: '',
    why: 'A node could make its own result stand.',
  },
  'finalize pays the caller for a verdict': {
    find: 'Verdict.TIME, address(0)',
    replace: 'Verdict.TIME, msg.sender',
    why: "Anybody could take the verifier's fee.",
  },
  'challenge comes too late': {
    find: 'if (block.timestamp > end) revert EmethCore_DeadlinePassed(jobId, end);',
    replace: '',
    why: 'A result that stands by time could still be held up.',
  },
  'challenge costs the small penalty': {
    find: 'uint256 bond = _part(job.fee, rules.penaltyBps);\n        (job.time',
    replace: 'uint256 bond = _part(job.fee, rules.declineBps);\n        (job.time',
    why: 'The escrow would owe more than it has.',
  },
  'challenge collects half the bond': {
    find: '_collect(msg.sender, bond);',
    replace: '_collect(msg.sender, bond / 2);',
    why: 'The escrow would owe more than it has.',
  },
  'challenge gives no new window': {
    find: '(job.time, job.state) = (uint40(block.timestamp), State.DISPUTED);',
    replace: 'job.state = State.DISPUTED;',
    why: 'A challenge in the last second would leave verifiers no time.',
  },
  'challenge forgets the challenger': {
    find: '_challengers[jobId] = msg.sender;',
    replace: '',
    why: 'The bond would be owed to nobody.',
  },
  'challenge can be entered from within a transfer': {
    find: 'function challenge(bytes16 jobId) external nonReentrant {',
    replace: 'function challenge(bytes16 jobId) external {',
    why: 'One transfer of a token that calls back could pay for two.',
  },
  'unwind comes too early': {
    find: '// Check: the verifiers had their time.\n        _requireWindowOver(jobId, job.time, rules);',
    replace: '',
    why: 'A challenger could call its own challenge off, with the result.',
  },
  'unwind gives the bond to the node': {
    find: '_owe(challenger, bond);',
    replace: '_owe(node, bond);',
    why: 'Challenging would cost when verifiers are away.',
  },
  'unwind keeps the deposit': {
    find: '_owe(node, fee);\n',
    replace: '',
    why: 'The deposit would stay in the escrow for ever.',
  },
  'unwind ends as failed': {
    find: '_endSubmitted(job, State.UNVERIFIED);',
    replace: '_endSubmitted(job, State.FAILED);',
    why: 'The state would not say what happened.',
  },
  'challenge refuses the last second': {
    find: 'if (block.timestamp > end) revert',
    replace: 'if (block.timestamp >= end) revert',
    why: 'A challenge in the last second would be refused.',
  },
  'the last second of the window is over': {
    find: 'if (block.timestamp <= end)',
    replace: 'if (block.timestamp < end)',
    why: 'Two ends would be open in the same second.',
  },
  'an ended job keeps its result': {
    find: '(job.payout, job.commitment) = (0, 0);',
    replace: '',
    why: 'The view would show a payout that never comes.',
  },
  'the fee of a verifier that did nothing is lost': {
    find: 'verifier == address(0) ? 0 : _part(fee, rules.verifierBps)',
    replace: '_part(fee, rules.verifierBps)',
    why: 'It would be owed to the zero address.',
  },
  'the whole fee has its part burnt': {
    find: '_part(payout, rules.burnBps)',
    replace: '_part(fee, rules.burnBps)',
    why: 'Requesters would pay for fuel that was not used.',
  },
  'the burnt part is refunded too': {
    find: '- payout - earned - burnt;',
    replace: '- payout - earned;',
    why: 'The escrow would owe more than it has.',
  },
  'a settled job is refunded to the node': {
    find: '_owe(requester, refund);\n        _oweAndForfeit(node, fee, burnt);',
    replace: '_owe(node, refund);\n        _oweAndForfeit(node, fee, burnt);',
    why: 'Unused fuel would be paid for.',
  },
  'pay may be claimed for as long as verdicts': {
    find: 'uint40(block.timestamp) + rules.claimWindow',
    replace: 'uint40(block.timestamp) + rules.verdictWindow',
    why: 'Workers would lose their pay to the node within the hour.',
  },
  'nothing is booked as burnt': {
    find: '_oweAndForfeit(node, fee, burnt);',
    replace: '_oweAndForfeit(node, fee, 0);',
    why: 'Rewards would be paid for tokens that nobody burns.',
  },
  'no slot is booked': {
    find: 'uint256 slot = _book(node, burnt);',
    replace: 'uint256 slot = block.timestamp / 1 days;',
    why: 'Nobody would get a reward.',
  },
  'the slot is booked for the requester': {
    find: '_book(node, burnt)',
    replace: '_book(requester, burnt)',
    why: 'The node would get no reward.',
  },
  'a verified job is told with its fee as payout': {
    find: 'verdict, payout, refund, fee, slot',
    replace: 'verdict, fee, refund, fee, slot',
    why: 'Whoever reads the log would book wrong amounts.',
  },
  'a lost bond is all for the node': {
    find: 'bond / 2;',
    replace: 'bond;',
    why: 'A node could earn by disputing its own results.',
  },
  'half of a lost bond comes back': {
    find: '_oweAndForfeit(_challengers[jobId], 0, bond - toNode);',
    replace: '_oweAndForfeit(_challengers[jobId], bond - toNode, 0);',
    why: 'Holding results up would cost half as much.',
  },
  'a challenge that was right earns half the penalty': {
    find: 'reward = bond / 4;',
    replace: 'reward = bond / 2;',
    why: 'Less than half of a penalty would be burnt, so baiting pays.',
  },
  'the caller gets the bond': {
    find: '_owe(_challengers[jobId], bond + reward);',
    replace: '_owe(msg.sender, bond + reward);',
    why: 'The bond would go to the verifier.',
  },
  'one verifier less will do': {
    find: 'if (count < quorum)',
    replace: 'if (count + 1 < quorum)',
    why: 'A quorum of one would be a quorum of none.',
  },
  'one verifier more is needed': {
    find: 'if (count < quorum)',
    replace: 'if (count <= quorum)',
    why: 'No quorum could be reached where all verifiers are needed.',
  },
  'any caller counts': {
    find: 'if (_isVerifier(msg.sender)) (count, earner) = (1, msg.sender);',
    replace: '(count, earner) = (1, msg.sender);',
    why: 'Anybody could judge.',
  },
  'whoever brings the signatures earns': {
    find: 'if (earner == address(0)) earner = first;',
    replace: 'if (earner == address(0)) earner = msg.sender;',
    why: 'Copying signatures out of a waiting transaction would pay.',
  },
  'a signer counts twice': {
    find: 'if (signer <= before)',
    replace: 'if (signer < before)',
    why: 'One verifier would be a quorum.',
  },
  'any signer counts': {
    find: 'if (!_isVerifier(signer)) revert EmethCore_NotVerifier(signer);',
    replace: '',
    why: 'Anybody could judge.',
  },
  'a caller that also signs counts twice': {
    find: 'if (signer != msg.sender) ++others;',
    replace: '++others;',
    why: 'One verifier would be a quorum of two.',
  },
  'the last signer earns': {
    find: 'if (i == 0) first = signer;',
    replace: 'first = signer;',
    why: 'The fee would go to another than is promised.',
  },
  'an attestation fits every job': {
    find: 'abi.encode(ATTESTATION, jobId, commitment',
    replace: 'abi.encode(ATTESTATION, bytes16(0), commitment',
    why: 'A verdict could be used for another job with the same result.',
  },
});
