// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "./interfaces/IEmethCore.sol";
import {SlotBook} from "./SlotBook.sol";

/// @title The jobs and the money they have locked
/// @dev In REQUESTED a job has locked the fee, the verifier's fee and what may be burnt; in PROCESSING and
/// SUBMITTED the node's deposit as well; in DISPUTED also the challenger's bond; in VERIFIED what is left of
/// the payout; in every other state nothing.
abstract contract JobBook is SlotBook {
    /// @dev Two storage words at the request, a third from `submit` on.
    struct PackedJob {
        address requester;
        uint96 fee;
        address node;
        uint40 fuelLimit;
        /// The deadline of the work; in SUBMITTED and DISPUTED, when that began; in VERIFIED, until when pay
        /// may be claimed.
        uint40 time;
        uint8 termsId;
        State state;
        uint96 payout;
        bytes20 commitment;
    }

    mapping(bytes16 jobId => PackedJob) internal _jobs;
    mapping(bytes16 jobId => address) internal _challengers;

    /// @inheritdoc IEmethCore
    function jobs(bytes16 jobId) external view returns (Job memory) {
        PackedJob storage job = _jobs[jobId];
        bool isJudged = job.state == State.SUBMITTED || job.state == State.DISPUTED;
        return Job({
            state: job.state,
            requester: job.requester,
            node: job.node,
            fee: job.fee,
            fuelLimit: job.fuelLimit,
            deadline: isJudged ? _windowEnd(job.time, _terms[job.termsId]) : job.time,
            termsId: job.termsId,
            payout: job.payout,
            commitment: job.commitment,
            challenger: _challengers[jobId]
        });
    }

    /// @inheritdoc IEmethCore
    function commit(bytes32 resultHash, bytes32 payoutRoot) public pure returns (bytes20) {
        return bytes20(keccak256(abi.encode(resultHash, payoutRoot)));
    }

    function _in(bytes16 jobId, State needed) internal view returns (PackedJob storage job) {
        job = _jobs[jobId];
        // Check: the job is in the state that the call needs.
        if (job.state != needed) revert EmethCore_WrongState(jobId, job.state, needed);
    }

    function _requireRequester(bytes16 jobId, PackedJob storage job) internal view {
        if (msg.sender != job.requester) revert EmethCore_NotRequester(jobId, msg.sender);
    }

    function _requireNode(bytes16 jobId, PackedJob storage job) internal view {
        if (msg.sender != job.node) revert EmethCore_NotNode(jobId, msg.sender);
    }

    /// @dev The second of the deadline itself is still in time.
    function _requireInTime(bytes16 jobId, PackedJob storage job) internal view {
        if (block.timestamp > job.time) revert EmethCore_DeadlinePassed(jobId, job.time);
    }

    function _requireOver(bytes16 jobId, PackedJob storage job) internal view {
        if (block.timestamp <= job.time) revert EmethCore_TooEarly(jobId, job.time);
    }

    /// @dev End of the window for a verdict that began at `since`.
    function _windowEnd(uint256 since, Terms storage rules) internal view returns (uint40) {
        unchecked {
            return uint40(since + rules.verdictWindow);
        }
    }

    function _requireResult(bytes16 jobId, bytes20 submitted, bytes20 meant) internal pure {
        if (meant != submitted) revert EmethCore_WrongResult(jobId, meant);
    }

    /// @dev Ends the job without a result: the requester gets back everything it put in.
    function _refundAndEnd(PackedJob storage job, State end) internal returns (uint256 refund) {
        // Effect: the requester gets everything back.
        refund = _locked(job.fee, _terms[job.termsId]);
        _owe(job.requester, refund);
        _end(job, end);
    }

    /// @dev Keeps only the state of a job that pays for no result, so that the same id cannot be requested
    /// again. The log has the rest, and clearing a storage word returns gas.
    function _end(PackedJob storage job, State end) internal {
        (job.requester, job.fee) = (address(0), 0);
        (job.node, job.fuelLimit, job.time, job.termsId, job.state) = (address(0), 0, 0, 0, end);
    }

    /// @dev Everything a requester puts in: the fee, and on top of it the verifier fee and the burn fee of a
    /// full payout.
    function _locked(uint256 fee, Terms storage rules) internal view returns (uint256) {
        return fee + _part(fee, rules.verifierBps) + _part(fee, rules.burnBps);
    }

    /// @dev The parts of a fee that the terms name, read at once.
    function _parts(uint256 fee, Terms storage rules) internal view returns (uint256 verifierFee, uint256 burnFee, uint256 penalty) {
        (verifierFee, burnFee, penalty) = (rules.verifierBps, rules.burnBps, rules.penaltyBps);
        (verifierFee, burnFee, penalty) = (_part(fee, verifierFee), _part(fee, burnFee), _part(fee, penalty));
    }

    /// @dev `bps` basis points of an amount of 96 bits, rounded down; `bps` is at most 10,000, so the result
    /// is one too.
    function _part(uint256 amount, uint256 bps) internal pure returns (uint256) {
        unchecked {
            return amount * bps / BPS;
        }
    }
}
