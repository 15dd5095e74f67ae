import { mutationsOf } from './mutation';

export const escrowMutations = mutationsOf('EmethCore', {
  'request ignores the pause': {
    find: 'if (paused) revert EmethCore_Paused();\n        uint8 termsId',
    replace: 'uint8 termsId',
    why: 'Money goes into an escrow that was stopped.',
  },
  'request refuses the least fee': {
    find: 'if (fee < rules.minFee)',
    replace: 'if (fee <= rules.minFee)',
    why: 'The bound would not be the one that the terms name.',
  },
  'request takes jobs without fuel': {
    find: 'if (fuelLimit == 0) revert EmethCore_NoFuel();',
    replace: '',
    why: 'submit would divide by zero, so the node loses its penalty.',
  },
  'request refuses the nearest deadline': {
    find: 'if (deadline < earliest)',
    replace: 'if (deadline <= earliest)',
    why: 'The bound would not be the one that the terms name.',
  },
  'request leaves no time for the work': {
    find: 'uint256 earliest = block.timestamp + rules.minWork;',
    replace: 'uint256 earliest = block.timestamp;',
    why: 'A job could be a trap for the deposit of its node.',
  },
  'request refuses the farthest deadline': {
    find: 'if (deadline > block.timestamp + MAX_WORK)',
    replace: 'if (deadline >= block.timestamp + MAX_WORK)',
    why: 'The bound would not be the one that the error names.',
  },
  'request allows a longer wait': {
    find: 'MAX_WORK = 365 days',
    replace: 'MAX_WORK = 366 days',
    why: 'Money could be out of reach for longer than is promised.',
  },
  'request overwrites a job': {
    find: 'if (job.state != State.NONE) revert EmethCore_JobExists(jobId);',
    replace: '',
    why: 'What the first job has locked would be lost.',
  },
  'request keeps to the first terms': {
    find: 'uint8 termsId = currentTerms;',
    replace: 'uint8 termsId = 0;',
    why: 'New terms would never count.',
  },
  'request does not collect the burnt part': {
    find: 'fee + verifierFee + burnFee);',
    replace: 'fee + verifierFee);',
    why: 'The escrow would owe more than it has.',
  },
  'request tells burnt part and verifier fee the wrong way round': {
    find: 'fee, verifierFee, burnFee, fuelLimit',
    replace: 'fee, burnFee, verifierFee, fuelLimit',
    why: 'Whoever reads the log would book wrong amounts.',
  },
  'request can be entered from within a transfer': {
    find: 'public\n        nonReentrant\n        returns (bytes16 jobId)',
    replace: 'public\n        returns (bytes16 jobId)',
    why: 'One transfer of a token that calls back could pay for two.',
  },
  'requestWithPermit uses no permit': {
    find: 'try IERC20Permit(address(token)).permit(msg.sender, address(this), permitValue, permitDeadline, v, r, s) {} catch {}',
    replace: '',
    why: 'The requester needs a transaction more.',
  },
  'requestWithPermit fails when the permit was used': {
    find: 'try IERC20Permit(address(token)).permit(msg.sender, address(this), permitValue, permitDeadline, v, r, s) {} catch {}',
    replace: 'IERC20Permit(address(token)).permit(msg.sender, address(this), permitValue, permitDeadline, v, r, s);',
    why: 'Anybody could stop a request by using its permit first.',
  },
  'cancel is open to anybody': {
    find: '_requireRequester(jobId, job);',
    replace: '',
    why: 'Anybody could end any job that waits.',
  },
  'cancel says it timed out': {
    find: '_refundAndEnd(job, State.CANCELED)',
    replace: '_refundAndEnd(job, State.TIMEOUT)',
    why: 'The state would not say what happened.',
  },
  'expire comes too early': {
    find: '// Check: its time is over.\n        _requireOver(jobId, job);',
    replace: '',
    why: 'Anybody could end any job that waits.',
  },
  'process ignores the pause': {
    find: 'if (paused) revert EmethCore_Paused();\n        _requireInTime(jobId, job);',
    replace: '_requireInTime(jobId, job);',
    why: 'Deposits go into an escrow that was stopped.',
  },
  'process comes too late': {
    find: '_requireInTime(jobId, job);\n        if (!isActive',
    replace: 'if (!isActive',
    why: 'A node could take a job that it can only lose by.',
  },
  'process is open to any account': {
    find: 'if (!isActive(msg.sender)) revert EmethCore_NodeNotActive(msg.sender);',
    replace: '',
    why: 'The registry would mean nothing.',
  },
  'process collects half the deposit': {
    find: '_collect(msg.sender, fee);',
    replace: '_collect(msg.sender, fee / 2);',
    why: 'The escrow would owe more than it has.',
  },
  'process does not note the node': {
    find: '(job.node, job.state) = (msg.sender, State.PROCESSING);',
    replace: 'job.state = State.PROCESSING;',
    why: 'The deposit would be owed to nobody.',
  },
  'process tells of another deposit': {
    find: 'emit JobProcessing(jobId, msg.sender, fee);',
    replace: 'emit JobProcessing(jobId, msg.sender, fee / 2);',
    why: 'Whoever reads the log would book wrong amounts.',
  },
  'process can be entered from within a transfer': {
    find: 'function process(bytes16 jobId) external nonReentrant {',
    replace: 'function process(bytes16 jobId) external {',
    why: 'One transfer of a token that calls back could pay for two.',
  },
  'decline is open to anybody': {
    find: 'while the job is still its.\n        _requireNode(jobId, job);',
    replace: 'while the job is still its.',
    why: "Anybody could take a node's job from it, and its deposit.",
  },
  'decline comes too late': {
    find: '_requireInTime(jobId, job);\n        // Effect: back to the queue',
    replace: '// Effect: back to the queue',
    why: 'A node that missed its deadline would escape the penalty.',
  },
  'decline does not reopen in the last second for it': {
    find: 'block.timestamp + rules.minWork <= job.time',
    replace: 'block.timestamp + rules.minWork < job.time',
    why: 'The bound would differ from the one of request.',
  },
  'decline costs the full penalty': {
    find: 'reopened ? rules.declineBps : rules.penaltyBps',
    replace: 'rules.penaltyBps',
    why: 'No node would ever give a job back.',
  },
  'decline is cheap when it is too late': {
    find: 'reopened ? rules.declineBps : rules.penaltyBps',
    replace: 'rules.declineBps',
    why: 'A node could keep a job from all others for little.',
  },
  'decline costs nothing': {
    find: 'uint256 returned = job.fee - penalty;',
    replace: 'uint256 returned = job.fee;',
    why: 'The escrow would owe more than it has.',
  },
  'decline keeps the node': {
    find: '(job.node, job.state) = (address(0), State.REQUESTED);',
    replace: 'job.state = State.REQUESTED;',
    why: 'A job that waits would show a node that it has not.',
  },
  'decline ends as canceled': {
    find: '_refundAndEnd(job, State.DECLINED)',
    replace: '_refundAndEnd(job, State.CANCELED)',
    why: 'The state would not say what happened.',
  },
  'decline tells penalty and rest the wrong way round': {
    find: 'reopened, returned, penalty, refund',
    replace: 'reopened, penalty, returned, refund',
    why: 'Whoever reads the log would book wrong amounts.',
  },
  'timeout comes too early': {
    find: "// Check: the node's time is over.\n        _requireOver(jobId, job);",
    replace: '',
    why: "Anybody could take a node's penalty at any time.",
  },
  'timeout tips by the fee': {
    find: '_part(penalty, rules.tipBps)',
    replace: '_part(fee, rules.tipBps)',
    why: 'Whoever calls would get several times the tip.',
  },
  'timeout gives no tip': {
    find: '_owe(msg.sender, tip);',
    replace: '',
    why: 'The tip would stay in the escrow for ever.',
  },
  'timeout forfeits the tip as well': {
    find: '_oweAndForfeit(node, fee - penalty, penalty - tip);',
    replace: '_oweAndForfeit(node, fee - penalty, penalty);',
    why: 'The escrow would owe more than it has.',
  },
  'timeout gives the deposit to the caller': {
    find: '_oweAndForfeit(node, fee - penalty, penalty - tip);',
    replace: '_oweAndForfeit(msg.sender, fee - penalty, penalty - tip);',
    why: 'Anybody could take deposits of others.',
  },
  'timeout tells of the penalty with the tip': {
    find: 'emit JobTimedOut(jobId, node, refund, fee - penalty, penalty - tip, msg.sender, tip);',
    replace: 'emit JobTimedOut(jobId, node, refund, fee - penalty, penalty, msg.sender, tip);',
    why: 'Whoever reads the log would book wrong amounts.',
  },
  'submit is open to anybody': {
    find: 'within the fuel that was bought.\n        _requireNode(jobId, job);',
    replace: 'within the fuel that was bought.',
    why: "Anybody could submit nonsense in a node's name.",
  },
  'submit comes too late': {
    find: '_requireInTime(jobId, job);\n        if (fuelUsed',
    replace: 'if (fuelUsed',
    why: 'A deadline would mean nothing until somebody calls timeout.',
  },
  'submit refuses all the fuel': {
    find: 'if (fuelUsed > job.fuelLimit)',
    replace: 'if (fuelUsed >= job.fuelLimit)',
    why: 'A node could never earn the whole fee.',
  },
  'submit pays the whole fee': {
    find: 'uint96 payout = uint96(uint256(job.fee) * fuelUsed / job.fuelLimit);',
    replace: 'uint96 payout = job.fee;',
    why: 'Unused fuel would be paid for.',
  },
  'submit commits the wrong way round': {
    find: 'commit(resultHash, payoutRoot)',
    replace: 'commit(payoutRoot, resultHash)',
    why: 'No verdict could ever name the result.',
  },
  'submit starts no window': {
    find: '(job.time, job.state) = (uint40(block.timestamp), State.SUBMITTED);',
    replace: 'job.state = State.SUBMITTED;',
    why: 'Verifiers would have the rest of the work time as well.',
  },
  'computeJobId leaves the requester out': {
    find: 'abi.encode(block.chainid, address(this), requester, salt, specHash)',
    replace: 'abi.encode(block.chainid, address(this), salt, specHash)',
    why: "Anybody could take another's job id.",
  },
  'computeJobId leaves the chain out': {
    find: 'abi.encode(block.chainid, address(this), requester, salt, specHash)',
    replace: 'abi.encode(address(this), requester, salt, specHash)',
    why: 'A job of one chain could stand for one of another.',
  },
  'the id leaves the deadline out': {
    find: 'keccak256(bytes(params)), fee, fuelLimit, deadline)',
    replace: 'keccak256(bytes(params)), fee, fuelLimit)',
    why: 'One id could mean two jobs.',
  },
});
