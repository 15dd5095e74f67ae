/** A small fault put into a contract on purpose: the tests have to notice it. */
export interface Mutation {
  name: string;
  /** In src/contracts. */
  file: string;
  /** Stands in the file exactly once. */
  find: string;
  replace: string;
  /** Why nobody can notice: the changed contract does the same. */
  equivalent?: string;
}

const of = (
  file: string,
  mutations: readonly (readonly [name: string, find: string, replace: string, equivalent?: string])[],
) =>
  mutations.map(
    ([name, find, replace, equivalent]): Mutation => ({
      name,
      file,
      find,
      replace,
      ...(equivalent === undefined ? {} : { equivalent }),
    }),
  );

/** Comparisons swapped or off by one, effects dropped, operands changed, checks left out; in every contract and every rule. */
export const mutations: readonly Mutation[] = [
  ...of('EmethCore.sol', [
    ['request ignores the pause', 'if (paused) revert EmethCore_Paused();\n        uint8 termsId', 'uint8 termsId'],
    ['a job id can be used twice', 'if (job.state != State.NONE) revert EmethCore_JobExists(jobId);', ''],
    [
      'request locks no burnt part',
      '_collect(msg.sender, uint256(fee) + verifierFee + burnFee)',
      '_collect(msg.sender, uint256(fee) + verifierFee)',
    ],
    [
      'request announces the burnt part as the verifiers’',
      'fee, verifierFee, burnFee, fuelLimit, deadline, termsId, dataset',
      'fee, burnFee, burnFee * 2, fuelLimit, deadline, termsId, dataset',
    ],
    [
      'a permit that fails stops the request',
      'permitDeadline, v, r, s) {} catch {}',
      'permitDeadline, v, r, s) {} catch { revert(); }',
    ],
    [
      'anybody cancels',
      '_requireRequester(jobId, job);\n        // Effect.\n        emit JobCanceled',
      '// Effect.\n        emit JobCanceled',
    ],
    ['a canceled job counts as expired', '_refundAndEnd(job, State.CANCELED)', '_refundAndEnd(job, State.TIMEOUT)'],
    [
      'a job expires before its deadline',
      '_requireOver(jobId, job);\n        // Effect.\n        emit JobExpired',
      '// Effect.\n        emit JobExpired',
    ],
    ['process ignores the pause', 'if (paused) revert EmethCore_Paused();\n        _requireInTime', '_requireInTime'],
    ['process works after the deadline', '_requireInTime(jobId, job);\n        if (!isActive', 'if (!isActive'],
    ['process asks for no active node', 'if (!isActive(msg.sender)) revert EmethCore_NodeNotActive(msg.sender);', ''],
    ['process locks half a deposit', '_collect(msg.sender, fee);', '_collect(msg.sender, fee / 2);'],
    [
      'anybody declines',
      '_requireNode(jobId, job);\n        _requireInTime(jobId, job);\n        // Effect: back',
      '_requireInTime(jobId, job);\n        // Effect: back',
    ],
    [
      'a declined job is reopened one second too late',
      'block.timestamp + rules.minWork <= job.time',
      'block.timestamp + rules.minWork < job.time',
    ],
    [
      'declining costs the other penalty',
      'reopened ? rules.declineBps : rules.penaltyBps',
      'reopened ? rules.penaltyBps : rules.declineBps',
    ],
    [
      'timeout comes early',
      '_requireOver(jobId, job);\n        // Effect.\n        Terms memory',
      '// Effect.\n        Terms memory',
    ],
    [
      'timeout pays the tip out of nothing',
      '_oweAndForfeit(node, fee - penalty, penalty - tip);',
      '_oweAndForfeit(node, fee - penalty, penalty);',
    ],
    ['timeout pays no tip', '_owe(msg.sender, tip);\n        emit JobTimedOut', 'emit JobTimedOut'],
    [
      'timeout returns the whole deposit',
      '_oweAndForfeit(node, fee - penalty, penalty - tip);',
      '_oweAndForfeit(node, fee, penalty - tip);',
    ],
    [
      'anybody submits',
      '_requireNode(jobId, job);\n        _requireInTime(jobId, job);\n        if (fuelUsed',
      '_requireInTime(jobId, job);\n        if (fuelUsed',
    ],
    ['submit works after the deadline', '_requireInTime(jobId, job);\n        if (fuelUsed', 'if (fuelUsed'],
    [
      'fuel above the limit is paid',
      'if (fuelUsed > job.fuelLimit) revert',
      'if (fuelUsed > type(uint40).max - 1) revert',
    ],
    [
      'all of the limit cannot be used',
      'if (fuelUsed > job.fuelLimit) revert',
      'if (fuelUsed >= job.fuelLimit) revert',
    ],
    [
      'a payout is the whole fee',
      'uint96(uint256(job.fee) * fuelUsed / job.fuelLimit)',
      'uint96(uint256(job.fee) * fuelUsed / fuelUsed)',
    ],
    [
      'the verdict’s window begins with the deadline',
      '(job.time, job.state) = (uint40(block.timestamp), State.SUBMITTED);',
      'job.state = State.SUBMITTED;',
    ],
    [
      'ids are not bound to the requester',
      'address(this), requester, salt, specHash',
      'address(this), address(0), salt, specHash',
    ],
    ['ids are not bound to the chain', 'keccak256(abi.encode(block.chainid, ', 'keccak256(abi.encode(uint256(1), '],
    ['the least fee is too little', 'if (fee < rules.minFee)', 'if (fee <= rules.minFee)'],
    ['jobs without fuel are taken', 'if (fuelLimit == 0) revert EmethCore_NoFuel();', ''],
    [
      'deadlines may be far away',
      'if (deadline > block.timestamp + MAX_WORK)',
      'if (deadline > block.timestamp + 2 * MAX_WORK)',
    ],
    [
      'the data set is not part of the id',
      'keccak256(bytes(dataset)), keccak256(bytes(params))',
      'keccak256(bytes(params)), keccak256(bytes(params))',
    ],
  ]),
  ...of('Verdicts.sol', [
    ['a disputed result is verified after the window', 'if (isDisputed) _requireInWindow(jobId, job, rules);', ''],
    [
      'verify does not look at the result',
      '_requireResult(jobId, job.commitment, commitment);\n        address verifier = _requireQuorum(jobId, commitment, rules.quorum, true',
      'address verifier = _requireQuorum(jobId, commitment, rules.quorum, true',
    ],
    [
      'reject does not look at the result',
      '_requireResult(jobId, job.commitment, commitment);\n        address verifier = _requireQuorum(jobId, commitment, rules.quorum, false',
      'address verifier = _requireQuorum(jobId, commitment, rules.quorum, false',
    ],
    [
      'reject works after the window',
      '// Check: this result, by enough verifiers, in the window.\n        _requireInWindow(jobId, job, rules);',
      '',
    ],
    ['a challenge stays with a verified job', 'if (isDisputed) _loseChallenge(jobId, job, rules);', ''],
    ['reject does not pay the verifiers', '_owe(verifier, verifierFee);\n        _endSubmitted', '_endSubmitted'],
    ['reject pays the verifiers twice', 'uint256 lost = penalty - verifierFee;', 'uint256 lost = penalty;'],
    [
      'reject refunds the fee alone',
      'uint256 refund = _locked(job.fee, rules);\n        uint256 lost',
      'uint256 refund = job.fee;\n        uint256 lost',
    ],
    ['a right challenger gets nothing', 'if (job.state == State.DISPUTED) lost -= _winChallenge(jobId, penalty);', ''],
    ['a failed job keeps its payout', '_endSubmitted(jobId, State.FAILED);', '_end(_jobs[jobId], State.FAILED);'],
    ['anybody accepts', 'if (msg.sender != job.requester) revert EmethCore_NotRequester(jobId, msg.sender);', ''],
    [
      'finalize does not wait',
      '_requireWindowOver(jobId, job, rules);\n        // Effect.\n        _settle',
      '// Effect.\n        _settle',
    ],
    [
      'a challenge comes after the window',
      '_requireInWindow(jobId, job, rules);\n        // Effect: the window begins again.',
      '// Effect: the window begins again.',
    ],
    [
      'a challenge opens no new window',
      '(job.time, job.state) = (uint40(block.timestamp), State.DISPUTED);',
      'job.state = State.DISPUTED;',
    ],
    ['the challenger is forgotten', '_challengers[jobId] = msg.sender;', ''],
    ['a challenge is free', '_collect(msg.sender, bond);', '_collect(msg.sender, 0);'],
    ['unwind does not wait', '_requireWindowOver(jobId, job, rules);\n        // Effect: nobody', '// Effect: nobody'],
    ['unwind keeps the bond', '_owe(challenger, bond);\n        _endSubmitted', '_endSubmitted'],
    ['the window’s last second is out', 'if (block.timestamp > end) revert', 'if (block.timestamp >= end) revert'],
    ['the window’s last second is over', 'if (block.timestamp <= end) revert', 'if (block.timestamp < end) revert'],
    ['time alone pays the verifiers', 'verifier == address(0) ? 0 : _part', 'verifier == address(1) ? 0 : _part'],
    ['nothing is burnt', 'uint256 burnt = _part(job.payout, rules.burnBps);', 'uint256 burnt = _part(job.payout, 0);'],
    [
      'the whole fee’s part is burnt',
      'uint256 burnt = _part(job.payout, rules.burnBps);',
      'uint256 burnt = _part(job.fee, rules.burnBps);',
    ],
    ['the deposit stays', '_oweAndForfeit(job.node, job.fee, burnt);', '_oweAndForfeit(job.node, 0, burnt);'],
    ['no slot is booked', 'uint256 slot = _book(job.node, burnt);', 'uint256 slot = _book(job.node, 0);'],
    ['a lost bond is all the node’s', 'uint256 toNode = bond / 2;', 'uint256 toNode = bond;'],
    ['a right challenger gets half the penalty', 'reward = bond / 4;', 'reward = bond / 2;'],
    ['one verifier counts twice', 'if (signer <= before) revert', 'if (signer < before) revert'],
    ['anybody attests', 'if (!_isVerifier(signer)) revert EmethCore_NotVerifier(signer);', ''],
    ['a caller’s own signature counts too', 'if (signer != msg.sender) ++others;', '++others;'],
    ['the quorum is one short', 'if (count < quorum) revert', 'if (count + 1 < quorum) revert'],
    [
      'who carries attestations earns',
      'if (earner == address(0)) earner = first;',
      'if (earner == address(0)) earner = msg.sender;',
    ],
    [
      'attestations do not say yes or no',
      'jobId, commitment, accepted, reasonHash)',
      'jobId, commitment, true, reasonHash)',
    ],
  ]),
  ...of('Payroll.sol', [
    ['seventeen are paid at once', 'if (payees.length > MAX_PAYEES)', 'if (payees.length > MAX_PAYEES + 1)'],
    ['a list may fall short', 'sum != job.payout || ', ''],
    ['a list pays after a claim', ' || _claimed[jobId][0] != 0', ''],
    ['a list may be paid again', '// Effect: with nothing left, no claim can follow.\n        job.payout = 0;', ''],
    ['a claim leaves no mark', '_claimed[jobId][word] |= bit;', ''],
    ['a claim takes nothing from the rest', 'job.payout -= amount;', ''],
    ['a claim may exceed the rest', 'if (amount == 0 || amount > job.payout)', 'if (amount == 0)'],
    ['the last claim is refused', 'amount > job.payout)', 'amount >= job.payout)'],
    [
      'a proof is not looked at',
      'if (!MerkleProof.verifyCalldata(proof, payoutRoot, PayoutTree.leaf(index, worker, amount)))',
      'if (proof.length > 99)',
    ],
    ['anybody sweeps', '_requireNode(jobId, job);\n        _requireOver', '_requireOver'],
    [
      'sweeping does not wait',
      '_requireOver(jobId, job);\n        // Effect.\n        uint256 amount',
      '// Effect.\n        uint256 amount',
    ],
  ]),
  ...of('JobBook.sol', [
    ['the deadline’s second is out', 'if (block.timestamp > job.time)', 'if (block.timestamp >= job.time)'],
    ['the deadline’s second is over', 'if (block.timestamp <= job.time)', 'if (block.timestamp < job.time)'],
    ['a job shows no end of its window', 'isJudged ? _windowEnd(job, _terms[job.termsId]) : job.time', 'job.time'],
    ['the burnt part is not refunded', ' + _part(fee, rules.burnBps);', ';'],
    ['rates are per mille', 'uint96(uint256(amount) * bps / BPS)', 'uint96(uint256(amount) * bps / 1000)'],
  ]),
  ...of('CreditBook.sol', [
    ['anybody makes nodes active', 'if (msg.sender != registry) revert EmethCore_NotRegistry(msg.sender);', ''],
    ['a node stays active', 'active ? registryNumber : 0', 'registryNumber'],
    [
      'an earlier registry’s word counts',
      '_accounts[node].activeIn == registryNumber',
      '_accounts[node].activeIn != 0',
    ],
    ['withdrawing leaves the credit', '_spend(msg.sender, amount);\n        emit Withdrawn', 'emit Withdrawn'],
    [
      'more is withdrawn than there is',
      'if (amount > owned) revert EmethCore_NotEnoughCredit(account, owned, amount);\n        _accounts[account].credit = uint120(owned - amount);',
      'unchecked { _accounts[account].credit = amount > owned ? 0 : uint120(owned - amount); }',
    ],
    ['a late signature counts', 'if (block.timestamp > deadline) revert EmethCore_SignatureExpired(deadline);', ''],
    ['a signature counts again and again', '_useNonce(account), deadline', 'nonces(account), deadline'],
    ['anybody signs', 'if (signer != account) revert EmethCore_WrongSignature(signer, account);', ''],
    ['the tip is not taken', '_spend(account, amount + tip);', '_spend(account, amount);'],
    ['the tip is not paid', '_owe(msg.sender, tip);\n        emit WithdrawalRelayed', 'emit WithdrawalRelayed'],
    ['the same is burnt again', '_accounts[account].forfeited = 0;', ''],
    ['credit is not used first', 'uint256 fromCredit = owned < amount ? owned : amount;', 'uint256 fromCredit = 0;'],
    [
      'deposits are for the payer',
      '_accounts[account].credit += SafeCast.toUint120(amount);',
      '_accounts[msg.sender].credit += SafeCast.toUint120(amount);',
    ],
    ['a revoked verifier goes on', '_accounts[account].isVerifier = false;', ''],
    [
      'transfers may come in between: deposit',
      'function deposit(address account, uint256 amount) external nonReentrant',
      'function deposit(address account, uint256 amount) external',
    ],
    [
      'transfers may come in between: withdraw',
      'function withdraw(address to, uint256 amount) external nonReentrant',
      'function withdraw(address to, uint256 amount) external',
    ],
  ]),
  ...of('ExactTransfer.sol', [
    ['a fee on transfer goes unnoticed', 'if (received < amount) revert', 'if (received + 1 < amount) revert'],
  ]),
  ...of('SlotBook.sol', [
    ['slots are hours', 'SLOT = 1 days', 'SLOT = 1 hours'],
    ['a slot’s total is not kept', '_burnt[slot] += burnt;', ''],
    ['a node’s part replaces what it had', '_burntBy[slot][node] += burnt;', '_burntBy[slot][node] = burnt;'],
  ]),
  ...of('Governed.sol', [
    [
      'anybody sets terms',
      'function setTerms(Terms calldata next) external onlyRole(DEFAULT_ADMIN_ROLE)',
      'function setTerms(Terms calldata next) external',
    ],
    [
      'anybody changes the registry',
      'function setRegistry(address next) external onlyRole(DEFAULT_ADMIN_ROLE)',
      'function setRegistry(address next) external',
    ],
    [
      'the administrator pauses',
      'function setPaused(bool next) external onlyRole(PAUSER_ROLE)',
      'function setPaused(bool next) external onlyRole(DEFAULT_ADMIN_ROLE)',
    ],
    ['new terms overwrite the old', '_setTerms(++currentTerms, next);', '_setTerms(currentTerms, next);'],
    ['penalties may be all of it', 'next.penaltyBps <= 5_000', 'next.penaltyBps <= 10_000'],
    ['a quorum may be nobody', 'next.quorum > 0 && ', ''],
    [
      'verifiers may cost more than the penalty pays',
      'next.verifierBps <= next.penaltyBps / 4',
      'next.verifierBps <= next.penaltyBps / 2',
    ],
    ['a new registry has the old one’s number', '(next, registryNumber + 1)', '(next, 1)'],
    ['the administrator changes at once', 'ADMIN_DELAY = 2 days', 'ADMIN_DELAY = 0'],
  ]),
  ...of('PayoutTree.sol', [
    [
      'leaves are hashed once',
      'keccak256(bytes.concat(keccak256(abi.encode(index, worker, amount))))',
      'keccak256(abi.encode(index, worker, amount))',
    ],
    ['leaves are sorted the other way', 'tree[last - (place - 1)] > value', 'tree[last - (place - 1)] < value'],
  ]),
  ...of('NodeRegistry.sol', [
    ['names may be of any length', 'if (length == 0 || length > MAX_NAME)', 'if (length == 0)'],
    [
      'an organisation is founded twice',
      'if (_organisations[organisation].owner != address(0)) revert',
      'if (false) revert',
    ],
    [
      'anybody takes an organisation',
      'if (msg.sender != taken.nextOwner) revert NodeRegistry_NotNextOwner(organisation, msg.sender);',
      '',
    ],
    ['an offer stays open', '(taken.owner, taken.nextOwner) = (msg.sender, address(0));', 'taken.owner = msg.sender;'],
    ['a node is registered without a stake', 'if (stake < minStake) revert', 'if (stake + 1 < minStake) revert'],
    ['a node need not agree', 'if (msg.sender != node) _requireSignature(enrolment, signature);', ''],
    ['a node is registered twice', '_requireStatus(node, Status.NONE);', ''],
    ['a node is listed again', 'stored.isListed = true;', ''],
    ['the stake is not paid', 'ExactTransfer.pull(token, msg.sender, stake);', ''],
    ['added stake replaces the stake', '_nodes[node].stake += amount;', '_nodes[node].stake = amount;'],
    [
      'a payout wallet confirms at once',
      'if (block.timestamp < stored.payoutOpensAt)',
      'if (block.timestamp + PAYOUT_DELAY < stored.payoutOpensAt)',
    ],
    [
      'anybody confirms a payout wallet',
      'if (msg.sender != stored.nextPayout) revert NodeRegistry_NotNextPayout(node, msg.sender);',
      '',
    ],
    ['anybody calls a change of wallet off', 'if (msg.sender != _nodes[node].payout) _requireOperator(node);', ''],
    [
      'deactivating is not told to the escrow',
      'emit NodeDeactivated(node, unbondsAt);\n        // Interaction.\n        sync(node);',
      'emit NodeDeactivated(node, unbondsAt);',
    ],
    [
      'a stake is free a second early',
      'if (block.timestamp < stored.unbondsAt) revert',
      'if (block.timestamp + 1 < stored.unbondsAt) revert',
    ],
    [
      'a stake is taken out twice',
      '(stored.status, stored.stake, stored.unbondsAt) = (Status.NONE, 0, 0);',
      '(stored.stake, stored.unbondsAt) = (stored.stake, 0);',
    ],
    [
      'anybody takes a stake out',
      '// Check.\n        _requireOperator(node);\n        _requireStatus(node, Status.UNBONDING);\n        if (block.timestamp < stored.unbondsAt)',
      '// Check.\n        _requireStatus(node, Status.UNBONDING);\n        if (block.timestamp < stored.unbondsAt)',
    ],
    ['an enrolment is used again', '_useNonce(enrolment.node),', 'nonces(enrolment.node),'],
    ['a late enrolment counts', 'if (block.timestamp > enrolment.deadline) revert', 'if (false) revert'],
    ['a page begins one too late', 'nodeOf(_list[index + i])', 'nodeOf(_list[_list.length - 1 - i])'],
    ['a registry that was replaced holds nodes fast', 'if (core.registry() == address(this)) core', 'core'],
  ]),
  ...of('RewardPool.sol', [
    ['rewards are all that was burnt', 'SHARE_BPS = 8_000', 'SHARE_BPS = 10_000'],
    [
      'a slot is claimed on its own day',
      'if (slot >= block.timestamp / SLOT ||',
      'if (slot > block.timestamp / SLOT ||',
    ],
    ['a slot is claimed again', '_claimed[msg.sender][slot >> 8] |= 1 << (slot & 0xff);', ''],
    ['what was minted is not counted', 'minted += part;', ''],
    ['the pool mints above its cap', 'return earned < cap - minted ? earned : cap - minted;', 'return earned;'],
    ['emission does not fall', 'YEARLY_FALL * (slot - firstSlot) / 365', 'YEARLY_FALL * (slot - firstSlot) / 365_000'],
    ['emission begins at once, whenever', 'if (slot < firstSlot) return 0;', 'if (slot < firstSlot) return BASE;'],
    ['rewards ignore the payout wallet', 'payout == address(0) ? msg.sender : payout', 'msg.sender'],
    ['a part of the slot counts as all of it', '/ core.slotBurnt(slot)', '/ burnt'],
    [
      'deposits of ended jobs count',
      'return holds && job.node == node ? job.fee : 0;',
      'return job.node == node ? job.fee : 0;',
    ],
  ]),
  ...of('EmethToken.sol', [
    ['anybody mints', 'if (msg.sender != rewardPool) revert EmethToken_NotRewardPool(msg.sender);', ''],
    [
      'the cap is no cap',
      'if (totalSupply() + amount > cap) revert EmethToken_CapExceeded(totalSupply(), amount, cap);',
      '',
    ],
    ['the pool is named again', 'deployer = address(0);', ''],
  ]),
];
