// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";
import {JobBook} from "./JobBook.sol";

/// @title How a submitted result comes to its end
/// @notice By a quorum of verifiers, by the requester, or by time; a challenge gives verifiers one more window and takes the
/// result's right to stand by time alone.
abstract contract Verdicts is JobBook, EIP712 {
    bytes32 private constant ATTESTATION =
        keccak256("Attestation(bytes16 jobId,bytes20 commitment,bool accepted,bytes32 reasonHash)");

    constructor() EIP712("EmethCore", "1") {}

    /// @inheritdoc IEmethCore
    function verify(bytes16 jobId, bytes32 resultHash, bytes32 payoutRoot, bytes[] calldata attestations) external {
        PackedJob storage job = _judged(jobId);
        // Check: this result, by enough verifiers. Undisputed, a late verdict still says what time would say.
        bool isDisputed = job.state == State.DISPUTED;
        if (isDisputed) _requireInWindow(jobId, job);
        bytes20 commitment = _requireResult(jobId, job, resultHash, payoutRoot);
        address verifier = _requireQuorum(jobId, commitment, true, bytes32(0), attestations);
        // Effect.
        _settle(jobId, job, Verdict.VERIFIERS, verifier);
        if (isDisputed) _loseChallenge(jobId, job);
    }

    /// @inheritdoc IEmethCore
    function rejectResult(bytes16 jobId, bytes32 resultHash, bytes32 payoutRoot, bytes32 reasonHash, bytes[] calldata attestations)
        external
    {
        PackedJob storage job = _judged(jobId);
        // Check: this result, by enough verifiers, in the window.
        _requireInWindow(jobId, job);
        bytes20 commitment = _requireResult(jobId, job, resultHash, payoutRoot);
        address verifier = _requireQuorum(jobId, commitment, false, reasonHash, attestations);
        // Effect: the verifier earns what accepting would earn it; the node's penalty replaces that to the requester.
        uint96 verifierFee = _verifierFee(job);
        uint256 penalty = _penalty(job);
        uint256 refund = uint256(job.fee) + verifierFee;
        uint256 returned = job.fee - penalty;
        uint256 lost = penalty - verifierFee;
        if (job.state == State.DISPUTED) lost -= _winChallenge(jobId, job);
        (job.state, job.payout, job.commitment) = (State.FAILED, 0, 0);
        _owe(job.requester, refund);
        _oweAndForfeit(job.node, returned, lost);
        _owe(verifier, verifierFee);
        emit JobRejected(jobId, reasonHash, refund, returned, lost, verifier, verifierFee);
    }

    /// @inheritdoc IEmethCore
    function accept(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.SUBMITTED);
        // Check: the requester accepts for itself only.
        _requireRequester(jobId, job);
        // Effect: nobody verified, so the verifier's fee goes back.
        _settle(jobId, job, Verdict.REQUESTER, address(0));
    }

    /// @inheritdoc IEmethCore
    function finalize(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.SUBMITTED);
        // Check: no verdict came in its window.
        _requireWindowOver(jobId, job);
        // Effect.
        _settle(jobId, job, Verdict.TIME, address(0));
    }

    /// @inheritdoc IEmethCore
    function challenge(bytes16 jobId) external nonReentrant {
        PackedJob storage job = _in(jobId, State.SUBMITTED);
        // Check: in the window.
        _requireInWindow(jobId, job);
        // Effect: the window begins again.
        uint96 bond = _penalty(job);
        (job.time, job.state) = (uint40(block.timestamp), State.DISPUTED);
        _challengers[jobId] = msg.sender;
        emit JobChallenged(jobId, msg.sender, bond);
        // Interaction.
        _collect(msg.sender, bond);
    }

    /// @inheritdoc IEmethCore
    function unwind(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.DISPUTED);
        // Check: the verifiers had their time.
        _requireWindowOver(jobId, job);
        // Effect: nobody was proved wrong, so everybody gets back what it put in.
        (job.state, job.payout, job.commitment) = (State.UNVERIFIED, 0, 0);
        uint256 refund = _refundAll(job);
        uint256 bond = _penalty(job);
        _owe(job.node, job.fee);
        _owe(_challengers[jobId], bond);
        emit JobUnwound(jobId, refund, job.fee, _challengers[jobId], bond);
    }

    function _judged(bytes16 jobId) private view returns (PackedJob storage job) {
        job = _jobs[jobId];
        if (job.state != State.SUBMITTED && job.state != State.DISPUTED) {
            revert EmethCore_WrongState(jobId, job.state, State.SUBMITTED);
        }
    }

    function _requireInWindow(bytes16 jobId, PackedJob storage job) private view {
        uint40 end = _windowEnd(job);
        if (block.timestamp > end) revert EmethCore_DeadlinePassed(jobId, end);
    }

    function _requireWindowOver(bytes16 jobId, PackedJob storage job) private view {
        uint40 end = _windowEnd(job);
        if (block.timestamp <= end) revert EmethCore_TooEarly(jobId, end);
    }

    /// @dev The result stands: payout for node and workers, the unused fee and perhaps the verifier's back to the requester, the
    /// deposit back to the node. A zero `verifier` earned nothing.
    function _settle(bytes16 jobId, PackedJob storage job, Verdict verdict, address verifier) private {
        uint96 fee = job.fee;
        uint256 payout = job.payout;
        uint256 refund = fee - payout;
        uint256 earned = _verifierFee(job);
        if (verifier == address(0)) (refund, earned) = (refund + earned, 0);
        (job.time, job.state) = (uint40(block.timestamp) + _terms[job.termsId].claimWindow, State.VERIFIED);
        _owe(job.requester, refund);
        _owe(job.node, fee);
        _owe(verifier, earned);
        emit JobVerified(jobId, verdict, payout, refund, fee, verifier, earned);
    }

    /// @dev The result was good: half the bond compensates the node for the wait, the rest nobody gets.
    function _loseChallenge(bytes16 jobId, PackedJob storage job) private {
        uint256 bond = _penalty(job);
        uint256 toNode = bond / 2;
        _owe(job.node, toNode);
        _oweAndForfeit(_challengers[jobId], 0, bond - toNode);
        emit ChallengeDecided(jobId, _challengers[jobId], false, 0, toNode, bond - toNode);
    }

    /// @dev The result was bad: the bond comes back, and with it a quarter of the node's penalty. A verifier's fee is at most another
    /// quarter, so at least half the penalty is forfeited.
    function _winChallenge(bytes16 jobId, PackedJob storage job) private returns (uint256 reward) {
        uint256 bond = _penalty(job);
        reward = bond / 4;
        _owe(_challengers[jobId], bond + reward);
        emit ChallengeDecided(jobId, _challengers[jobId], true, bond + reward, 0, 0);
    }

    /// @dev A calling verifier counts without a signature; the others sign. Signers ascend, so none counts twice.
    /// @return earner The calling verifier, or the first signer when somebody else brings the signatures: so nobody gains by copying
    /// them out of a waiting transaction.
    function _requireQuorum(bytes16 jobId, bytes20 commitment, bool accepted, bytes32 reasonHash, bytes[] calldata attestations)
        private
        view
        returns (address earner)
    {
        uint256 count = 0;
        if (hasRole(VERIFIER_ROLE, msg.sender)) (count, earner) = (1, msg.sender);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(ATTESTATION, jobId, commitment, accepted, reasonHash)));
        address before = address(0);
        for (uint256 i = 0; i < attestations.length; ++i) {
            address signer = ECDSA.recoverCalldata(digest, attestations[i]);
            if (signer <= before) revert EmethCore_AttestationsNotSorted(before, signer);
            if (!hasRole(VERIFIER_ROLE, signer)) revert EmethCore_NotVerifier(signer);
            if (signer != msg.sender) ++count;
            if (earner == address(0)) earner = signer;
            before = signer;
        }
        if (count == 0) revert EmethCore_NotVerifier(msg.sender);
        if (count < quorum) revert EmethCore_QuorumNotReached(count, quorum);
    }
}
