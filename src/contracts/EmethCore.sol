// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {CreditBook} from "./CreditBook.sol";
import {Governed} from "./Governed.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";
import {Payroll} from "./Payroll.sol";
import {Verdicts} from "./Verdicts.sol";

/// @title The escrow of Emeth jobs
/// @dev A job's way from the request to a submitted result. `Verdicts` has what follows, `Payroll` the pay,
/// `SlotBook` the measure of rewards, `CreditBook` the money, `Governed` what an administrator may set. Jobs
/// move only along the table in `IEmethCore`.
contract EmethCore is Verdicts, Payroll {
    uint256 private constant MAX_WORK = 365 days;

    constructor(IERC20 token_, address admin, Terms memory firstTerms, address[] memory verifiers, address registry_)
        CreditBook(token_)
        Governed(admin, firstTerms, verifiers, registry_)
    {}

    /// @inheritdoc IEmethCore
    function request(string calldata dataset, string calldata params, uint96 fee, uint40 fuelLimit, uint40 deadline, bytes32 salt)
        public
        nonReentrant
        returns (bytes16 jobId)
    {
        // Check: nothing is paused, the request keeps the present terms, and it is new.
        if (paused) revert EmethCore_Paused();
        uint8 termsId = currentTerms;
        _requireAcceptable(_terms[termsId], fee, fuelLimit, deadline);
        jobId = computeJobId(msg.sender, salt, _specHash(dataset, params, fee, fuelLimit, deadline));
        PackedJob storage job = _jobs[jobId];
        if (job.state != State.NONE) revert EmethCore_JobExists(jobId);

        // Effect: the job is stored and waits for a node.
        (job.requester, job.fee) = (msg.sender, fee);
        (job.fuelLimit, job.time, job.termsId, job.state) = (fuelLimit, deadline, termsId, State.REQUESTED);
        uint256 verifierFee = _part(fee, _terms[termsId].verifierBps);
        uint256 burnFee = _part(fee, _terms[termsId].burnBps);
        emit JobRequested(jobId, msg.sender, fee, verifierFee, burnFee, fuelLimit, deadline, termsId, dataset, params);

        // Interaction: the price comes in.
        _collect(msg.sender, fee + verifierFee + burnFee);
    }

    /// @inheritdoc IEmethCore
    function requestWithPermit(
        string calldata dataset,
        string calldata params,
        uint96 fee,
        uint40 fuelLimit,
        uint40 deadline,
        bytes32 salt,
        uint256 permitValue,
        uint256 permitDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (bytes16 jobId) {
        // Interaction: the permit may have been used already; its allowance is there then.
        try IERC20Permit(address(token)).permit(msg.sender, address(this), permitValue, permitDeadline, v, r, s) {} catch {}
        // Check, effect and interaction: those of the request, which fails there if the permit did.
        return request(dataset, params, fee, fuelLimit, deadline, salt);
    }

    /// @inheritdoc IEmethCore
    function cancel(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.REQUESTED);
        // Check: the caller is the requester.
        _requireRequester(jobId, job);
        // Effect: the requester gets everything back.
        emit JobCanceled(jobId, _refundAndEnd(job, State.CANCELED));
    }

    /// @inheritdoc IEmethCore
    function expire(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.REQUESTED);
        // Check: the deadline has passed.
        _requireOver(jobId, job);
        // Effect: the requester gets everything back.
        emit JobExpired(jobId, _refundAndEnd(job, State.TIMEOUT));
    }

    /// @inheritdoc IEmethCore
    function process(bytes16 jobId) external nonReentrant {
        PackedJob storage job = _in(jobId, State.REQUESTED);
        // Check: nothing is paused, the deadline has not passed, and the caller is an active node.
        if (paused) revert EmethCore_Paused();
        _requireInTime(jobId, job);
        if (!isActive(msg.sender)) revert EmethCore_NodeNotActive(msg.sender);
        // Effect: the node holds the job.
        (job.node, job.state) = (msg.sender, State.PROCESSING);
        uint256 fee = job.fee;
        emit JobProcessing(jobId, msg.sender, fee);
        // Interaction: the deposit comes in.
        _collect(msg.sender, fee);
    }

    /// @inheritdoc IEmethCore
    function decline(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.PROCESSING);
        // Check: the caller is the job's node, and the deadline has not passed.
        _requireNode(jobId, job);
        _requireInTime(jobId, job);
        // Effect: the job waits again while there is enough time for another node; otherwise it ends.
        Terms storage rules = _terms[job.termsId];
        bool reopened = block.timestamp + rules.minWork <= job.time;
        // Too late for another node, declining costs as much as a timeout, because it kept all others from
        // the job.
        uint256 penalty = _part(job.fee, reopened ? rules.declineBps : rules.penaltyBps);
        uint256 returned = job.fee - penalty;
        (job.node, job.state) = (address(0), State.REQUESTED);
        _oweAndForfeit(msg.sender, returned, penalty);
        uint256 refund = reopened ? 0 : _refundAndEnd(job, State.DECLINED);
        emit JobDeclined(jobId, msg.sender, reopened, returned, penalty, refund);
    }

    /// @inheritdoc IEmethCore
    function timeout(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.PROCESSING);
        // Check: the node's deadline has passed.
        _requireOver(jobId, job);
        // Effect: the node loses the penalty, and the caller gets a part of it as a tip.
        Terms storage rules = _terms[job.termsId];
        (uint256 fee, address node) = (job.fee, job.node);
        uint256 penalty = _part(fee, rules.penaltyBps);
        uint256 tip = _part(penalty, rules.tipBps);
        uint256 refund = _refundAndEnd(job, State.TIMEOUT);
        _oweAndForfeit(node, fee - penalty, penalty - tip);
        _owe(msg.sender, tip);
        emit JobTimedOut(jobId, node, refund, fee - penalty, penalty - tip, msg.sender, tip);
    }

    /// @inheritdoc IEmethCore
    function submit(bytes16 jobId, bytes32 resultHash, uint40 fuelUsed, bytes32 payoutRoot, string calldata result) external {
        PackedJob storage job = _in(jobId, State.PROCESSING);
        // Check: the caller is the job's node, the deadline has not passed, and the fuel is within the limit.
        _requireNode(jobId, job);
        _requireInTime(jobId, job);
        if (fuelUsed > job.fuelLimit) revert EmethCore_FuelAboveLimit(jobId, fuelUsed, job.fuelLimit);
        // Effect: the result is stored, and the window for a verdict begins.
        // The product fits: 96 + 40 bits. The quotient is at most the fee.
        uint96 payout = uint96(uint256(job.fee) * fuelUsed / job.fuelLimit);
        (job.payout, job.commitment) = (payout, commit(resultHash, payoutRoot));
        (job.time, job.state) = (uint40(block.timestamp), State.SUBMITTED);
        emit JobSubmitted(jobId, msg.sender, resultHash, payoutRoot, fuelUsed, payout, result);
    }

    /// @inheritdoc IEmethCore
    function computeJobId(address requester, bytes32 salt, bytes32 specHash) public view returns (bytes16) {
        return bytes16(keccak256(abi.encode(block.chainid, address(this), requester, salt, specHash)));
    }

    /// @dev The deadline has an upper bound, so that no money stays locked for longer than a year of work and
    /// the windows after it.
    function _requireAcceptable(Terms storage rules, uint96 fee, uint40 fuelLimit, uint40 deadline) private view {
        if (fee < rules.minFee) revert EmethCore_FeeTooLow(fee, rules.minFee);
        if (fuelLimit == 0) revert EmethCore_NoFuel();
        uint256 earliest = block.timestamp + rules.minWork;
        if (deadline < earliest) revert EmethCore_DeadlineTooNear(deadline, earliest);
        if (deadline > block.timestamp + MAX_WORK) revert EmethCore_DeadlineTooFar(deadline, block.timestamp + MAX_WORK);
    }

    function _specHash(string calldata dataset, string calldata params, uint96 fee, uint40 fuelLimit, uint40 deadline)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(keccak256(bytes(dataset)), keccak256(bytes(params)), fee, fuelLimit, deadline));
    }
}
