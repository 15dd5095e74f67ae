// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "./interfaces/IEmethCore.sol";
import {SlotBook} from "./SlotBook.sol";

/// @title The jobs and what they have locked
/// @dev A job in REQUESTED locks fee, verifier's fee and what may be burnt, in PROCESSING and SUBMITTED the node's deposit as well, in DISPUTED a bond
/// besides, in VERIFIED what is left of the payout, in every other state nothing.
abstract contract JobBook is SlotBook {
    /// @dev Two words at the request, a third from `submit` on.
    struct PackedJob {
        address requester;
        uint96 fee;
        address node;
        uint40 fuelLimit;
        /// The deadline of the work; in SUBMITTED and DISPUTED, when that began; in VERIFIED, until when pay may be claimed.
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
        PackedJob memory job = _jobs[jobId];
        bool isJudged = job.state == State.SUBMITTED || job.state == State.DISPUTED;
        return Job({
            state: job.state,
            requester: job.requester,
            node: job.node,
            fee: job.fee,
            fuelLimit: job.fuelLimit,
            deadline: isJudged ? _windowEnd(job, _terms[job.termsId]) : job.time,
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
        if (job.state != needed) revert EmethCore_WrongState(jobId, job.state, needed);
    }

    function _requireRequester(bytes16 jobId, PackedJob storage job) internal view {
        if (msg.sender != job.requester) revert EmethCore_NotRequester(jobId, msg.sender);
    }

    function _requireNode(bytes16 jobId, PackedJob storage job) internal view {
        if (msg.sender != job.node) revert EmethCore_NotNode(jobId, msg.sender);
    }

    /// @dev The second of the deadline itself is still inside.
    function _requireInTime(bytes16 jobId, PackedJob storage job) internal view {
        if (block.timestamp > job.time) revert EmethCore_DeadlinePassed(jobId, job.time);
    }

    function _requireOver(bytes16 jobId, PackedJob storage job) internal view {
        if (block.timestamp <= job.time) revert EmethCore_TooEarly(jobId, job.time);
    }

    /// @dev End of the window for a verdict that began with the present state.
    function _windowEnd(PackedJob memory job, Terms memory rules) internal pure returns (uint40) {
        return job.time + rules.verdictWindow;
    }

    function _requireResult(bytes16 jobId, bytes20 submitted, bytes20 meant) internal pure {
        if (meant != submitted) revert EmethCore_WrongResult(jobId, meant);
    }

    /// @dev The job ends before any result: the requester gets back all it put in.
    function _refundAndEnd(PackedJob storage job, State end) internal returns (uint256 refund) {
        refund = _locked(job.fee, _terms[job.termsId]);
        _owe(job.requester, refund);
        _end(job, end);
    }

    /// @dev Of a job that pays for no result only node and state are kept, so that its id cannot come again; the log has the rest.
    /// Clearing a word gives gas back.
    function _end(PackedJob storage job, State end) internal {
        (job.state, job.requester, job.fee) = (end, address(0), 0);
    }

    /// @dev What a requester puts in: the fee, and on top of it the verifier's and what a full payout would burn.
    function _locked(uint96 fee, Terms memory rules) internal pure returns (uint256) {
        return uint256(fee) + _part(fee, rules.verifierBps) + _part(fee, rules.burnBps);
    }

    /// @dev `bps` basis points of `amount`, rounded down; `bps` is at most 10,000, so it fits.
    function _part(uint96 amount, uint16 bps) internal pure returns (uint96) {
        return uint96(uint256(amount) * bps / BPS);
    }
}
