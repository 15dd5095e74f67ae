// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CreditBook} from "./CreditBook.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";

/// @title The jobs and what they have locked
/// @dev A job in REQUESTED locks fee and verifier's fee, in PROCESSING and SUBMITTED the node's deposit as well, in DISPUTED a bond
/// besides, in VERIFIED what is left of the payout, in every other state nothing.
abstract contract JobBook is CreditBook {
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
        PackedJob storage job = _jobs[jobId];
        return Job({
            state: job.state,
            requester: job.requester,
            node: job.node,
            fee: job.fee,
            fuelLimit: job.fuelLimit,
            deadline: job.state == State.SUBMITTED || job.state == State.DISPUTED ? _windowEnd(job) : job.time,
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
    function _windowEnd(PackedJob storage job) internal view returns (uint40) {
        return job.time + _terms[job.termsId].verdictWindow;
    }

    function _requireResult(bytes16 jobId, PackedJob storage job, bytes32 resultHash, bytes32 payoutRoot)
        internal
        view
        returns (bytes20 commitment)
    {
        commitment = commit(resultHash, payoutRoot);
        if (commitment != job.commitment) revert EmethCore_WrongResult(jobId, commitment);
    }

    /// @dev Gives the requester back all it put in.
    function _refundAll(PackedJob storage job) internal returns (uint256 refund) {
        refund = uint256(job.fee) + _verifierFee(job);
        _owe(job.requester, refund);
    }

    function _verifierFee(PackedJob storage job) internal view returns (uint96) {
        return _part(job.fee, _terms[job.termsId].verifierBps);
    }

    function _penalty(PackedJob storage job) internal view returns (uint96) {
        return _part(job.fee, _terms[job.termsId].penaltyBps);
    }

    /// @dev `bps` basis points of `amount`, rounded down; `bps` is at most 10,000, so it fits.
    function _part(uint96 amount, uint16 bps) internal pure returns (uint96) {
        return uint96(uint256(amount) * bps / BPS);
    }
}
