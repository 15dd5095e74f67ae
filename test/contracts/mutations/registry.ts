import { mutationsOf } from './mutation';

export const registryMutations = mutationsOf('NodeRegistry', {
  'an organisation needs no name': {
    find: 'if (length == 0 || length > MAX_NAME)',
    replace: 'if (length > MAX_NAME)',
    why: 'Somebody would own the name that is none.',
  },
  'the longest name is too long': {
    find: 'length > MAX_NAME',
    replace: 'length >= MAX_NAME',
    why: 'The bound would not be the one that is documented.',
  },
  'an organisation is founded twice': {
    find: 'if (_organisations[organisation].owner != address(0)) revert NodeRegistry_OrganisationExists(organisation);',
    replace: '',
    why: 'Anybody could take an organisation with all its stakes.',
  },
  'anybody offers an organisation': {
    find: '_requireOwner(organisation);\n        // Effect.\n        _organisations[organisation].nextOwner',
    replace: '// Effect.\n        _organisations[organisation].nextOwner',
    why: 'Anybody could take an organisation with all its stakes.',
  },
  'anybody takes an organisation': {
    find: 'if (msg.sender != taken.nextOwner) revert NodeRegistry_NotNextOwner(organisation, msg.sender);',
    replace: '',
    why: 'Anybody could take an organisation with all its stakes.',
  },
  'an offer can be taken again': {
    find: '(taken.owner, taken.nextOwner) = (msg.sender, address(0));',
    replace: 'taken.owner = msg.sender;',
    why: 'Whoever had an organisation once could take it back.',
  },
  'anybody registers for an organisation': {
    find: '_requireOwner(enrolment.organisation);',
    replace: '',
    why: 'An organisation would answer for nodes that it does not know.',
  },
  'a node is registered twice': {
    find: '_requireStatus(node, Status.NONE);',
    replace: '',
    why: 'Its stake would be lost, or another could take it.',
  },
  'the least stake is too little': {
    find: 'if (stake < minStake)',
    replace: 'if (stake <= minStake)',
    why: 'The bound would not be the one that the error names.',
  },
  'a node needs no payout wallet': {
    find: 'if (enrolment.payout == address(0)) revert NodeRegistry_NoPayout(node);',
    replace: '',
    why: 'Its rewards would go elsewhere than it thinks.',
  },
  'leaving changes the payout wallet': {
    find: 'if (stored.payout != address(0) && stored.payout != enrolment.payout) revert NodeRegistry_OtherPayout(node, stored.payout);',
    replace: '',
    why: 'Leaving and coming back would be a way around the delay.',
  },
  'an enrolment is good for any operator': {
    find: 'msg.sender,\n                enrolment.organisation',
    replace: 'address(0),\n                enrolment.organisation',
    why: 'Who takes an organisation over could use what was signed for another.',
  },
  'a node need not agree': {
    find: 'if (msg.sender != node) _requireSignature(enrolment, signature);',
    replace: '',
    why: 'Anybody could register the nodes of others, and name where their rewards go.',
  },
  'an old change of payout goes on': {
    find: '(stored.organisation, stored.payout, stored.nextPayout) = (enrolment.organisation, enrolment.payout, address(0));',
    replace: '(stored.organisation, stored.payout) = (enrolment.organisation, enrolment.payout);',
    why: 'A wallet named in an earlier life of the node could take its rewards.',
  },
  'a node is listed again': {
    find: 'if (!stored.isListed) {',
    replace: 'if (true) {',
    why: 'The list would grow with every return.',
  },
  'a new node is not told of': {
    find: 'sync(node);\n        ExactTransfer.pull(token, msg.sender, stake);',
    replace: 'ExactTransfer.pull(token, msg.sender, stake);',
    why: 'It could take no job.',
  },
  'a new node pays no stake': {
    find: 'ExactTransfer.pull(token, msg.sender, stake);',
    replace: '',
    why: 'It could take out the stakes of others.',
  },
  'register can be entered from within a transfer': {
    find: 'bytes calldata signature) external nonReentrant {',
    replace: 'bytes calldata signature) external {',
    why: 'One transfer of a token that calls back could pay for two.',
  },
  'a stake is added where nobody is': {
    find: '_requireRegistered(node);\n        // Effect.\n        _nodes[node].stake += amount;',
    replace: '_nodes[node].stake += amount;',
    why: 'Nobody could take it out.',
  },
  'an added stake replaces the first': {
    find: '_nodes[node].stake += amount;',
    replace: '_nodes[node].stake = amount;',
    why: 'The first stake would be lost.',
  },
  'addStake can be entered from within a transfer': {
    find: 'function addStake(address node, uint96 amount) external nonReentrant {',
    replace: 'function addStake(address node, uint96 amount) external {',
    why: 'One transfer of a token that calls back could pay for two.',
  },
  'anybody says what a node can': {
    find: '_requireNodeOrOperator(node);\n        // Effect.\n        _setCapability',
    replace: '// Effect.\n        _setCapability',
    why: 'Anybody could slander a node.',
  },
  'anybody proposes a payout wallet': {
    find: '_requireOperator(node);\n        if (payout == address(0))',
    replace: 'if (payout == address(0))',
    why: "Anybody could take a node's rewards.",
  },
  'a change of payout needs a day less': {
    find: 'PAYOUT_DELAY = 2 days',
    replace: 'PAYOUT_DELAY = 1 days',
    why: 'The owner would have less time to see a theft coming.',
  },
  'anybody confirms a payout wallet': {
    find: 'if (msg.sender != stored.nextPayout) revert NodeRegistry_NotNextPayout(node, msg.sender);',
    replace: '',
    why: "Anybody could take a node's rewards.",
  },
  'confirmPayout comes a second late': {
    find: 'if (block.timestamp < stored.payoutOpensAt)',
    replace: 'if (block.timestamp <= stored.payoutOpensAt)',
    why: 'The time would not be the one that the view shows.',
  },
  'confirmPayout needs no delay': {
    find: 'if (block.timestamp < stored.payoutOpensAt) revert NodeRegistry_TooEarly(node, stored.payoutOpensAt);',
    replace: '',
    why: 'A theft could not be seen coming.',
  },
  'anybody calls a change of payout off': {
    find: 'if (msg.sender != _nodes[node].payout) _requireOperator(node);',
    replace: '',
    why: 'Nobody could ever change its wallet.',
  },
  'the present wallet cannot call a change off': {
    find: 'if (msg.sender != _nodes[node].payout) _requireOperator(node);',
    replace: '_requireOperator(node);',
    why: 'A theft could be seen coming and not be stopped.',
  },
  'a change that was called off goes on': {
    find: '(_nodes[node].nextPayout, _nodes[node].payoutOpensAt) = (address(0), 0);',
    replace: '_nodes[node].payoutOpensAt = 0;',
    why: 'The thief could confirm at once.',
  },
  'anybody deactivates a node': {
    find: '_requireNodeOrOperator(node);\n        _requireStatus(node, Status.ACTIVE);',
    replace: '_requireStatus(node, Status.ACTIVE);',
    why: 'Anybody could take the competition out of service.',
  },
  'a node is deactivated again': {
    find: '_requireStatus(node, Status.ACTIVE);',
    replace: '',
    why: 'A node could keep its operator from the stake for ever.',
  },
  'a stake is free a day earlier': {
    find: 'UNBONDING = 7 days',
    replace: 'UNBONDING = 6 days',
    why: 'The time would not be the one that is documented.',
  },
  'a node that left stays active': {
    find: 'emit NodeDeactivated(node, unbondsAt);\n        // Interaction.\n        sync(node);',
    replace: 'emit NodeDeactivated(node, unbondsAt);',
    why: 'A node without a stake could take jobs.',
  },
  'a node reactivates itself': {
    find: '_requireOperator(node);\n        _requireStatus(node, Status.UNBONDING);\n        // Effect.',
    replace: '_requireNodeOrOperator(node);\n        _requireStatus(node, Status.UNBONDING);\n        // Effect.',
    why: 'A stolen key of a node could keep it in service.',
  },
  'any node is reactivated': {
    find: '_requireStatus(node, Status.UNBONDING);\n        // Effect.',
    replace: '// Effect.',
    why: 'A node could be active without a stake.',
  },
  'anybody takes a stake out': {
    find: '_requireOperator(node);\n        _requireStatus(node, Status.UNBONDING);\n        if (block',
    replace: '_requireStatus(node, Status.UNBONDING);\n        if (block',
    why: 'Anybody could take the stakes of others.',
  },
  'the stake of an active node is taken out': {
    find: '_requireStatus(node, Status.UNBONDING);\n        if (block',
    replace: 'if (block',
    why: 'A node could be active without a stake.',
  },
  'withdrawStake comes a second late': {
    find: 'if (block.timestamp < stored.unbondsAt)',
    replace: 'if (block.timestamp <= stored.unbondsAt)',
    why: 'The time would not be the one that the view shows.',
  },
  'withdrawStake needs no wait': {
    find: 'if (block.timestamp < stored.unbondsAt) revert NodeRegistry_TooEarly(node, stored.unbondsAt);',
    replace: '',
    why: 'A node could leave before its last job is judged.',
  },
  'a stake is taken out again': {
    find: '(stored.status, stored.stake, stored.unbondsAt) = (Status.NONE, 0, 0);',
    replace: 'stored.unbondsAt = 0;',
    why: 'An operator could take the stakes of others.',
  },
  'the stake goes to the node': {
    find: 'token.safeTransfer(msg.sender, amount);',
    replace: 'token.safeTransfer(node, amount);',
    why: 'A stolen key of a node could take the stake.',
  },
  'withdrawStake can be entered from within a transfer': {
    find: 'function withdrawStake(address node) external nonReentrant {',
    replace: 'function withdrawStake(address node) external {',
    why: 'A balance could be read while money is on its way.',
  },
  'a node on its way out is told as active': {
    find: 'core.setActive(node, _nodes[node].status == Status.ACTIVE)',
    replace: 'core.setActive(node, _nodes[node].status != Status.NONE)',
    why: 'A node could take jobs while its stake unbonds.',
  },
  'an escrow with another registry is told': {
    find: 'if (core.registry() == address(this)) core.setActive',
    replace: 'core.setActive',
    why: 'No stake could leave a registry that was replaced.',
  },
  'an enrolment is good for ever': {
    find: 'if (block.timestamp > enrolment.deadline) revert NodeRegistry_SignatureExpired(enrolment.deadline);',
    replace: '',
    why: 'A forgotten signature could register a node years later.',
  },
  'an enrolment is good a second less': {
    find: 'if (block.timestamp > enrolment.deadline)',
    replace: 'if (block.timestamp >= enrolment.deadline)',
    why: 'The bound would not be the one that was signed.',
  },
  'an enrolment is good again and again': {
    find: '_useNonce(enrolment.node)',
    replace: 'nonces(enrolment.node)',
    why: 'A node that left could be registered against its will.',
  },
  'anybody signs for a node': {
    find: 'if (signer != enrolment.node) revert NodeRegistry_WrongSignature(signer, enrolment.node);',
    replace: '',
    why: 'Anybody could register the nodes of others.',
  },
  'an enrolment says nothing of the wallet': {
    find: 'enrolment.payout,\n                enrolment.capabilityHash',
    replace: 'address(0),\n                enrolment.capabilityHash',
    why: 'The operator could name another wallet than the node signed.',
  },
  'the longest address is too long': {
    find: 'bytes(capabilityUri).length > MAX_URI',
    replace: 'bytes(capabilityUri).length >= MAX_URI',
    why: 'The bound would not be the one that is documented.',
  },
  'the list skips its first': {
    find: 'nodes[i] = nodeOf(_list[index + i])',
    replace: 'nodes[i] = nodeOf(_list[i])',
    why: 'Every page would show the first nodes.',
  },
});
