// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";
import {JobBook} from "./JobBook.sol";

/// @title How a submitted result comes to its end
/// @notice By a quorum of verifiers, by the requester, or by time; a challenge gives verifiers one more window and takes the
/// result's right to stand by time alone.
abstract contract Verdicts is JobBook {
    bytes32 private constant ATTESTATION =
        keccak256("Attestation(bytes16 jobId,bytes20 commitment,bool accepted,bytes32 reasonHash)");

    /// @inheritdoc IEmethCore
    function verify(bytes16 jobId, bytes20 commitment, bytes[] calldata attestations) external {
        (PackedJob memory job, Terms memory rules) = _judged(jobId);
        // Check: this result, by enough verifiers. Undisputed, a late verdict still says what time would say.
        bool isDisputed = job.state == State.DISPUTED;
        if (isDisputed) _requireInWindow(jobId, job, rules);
        _requireResult(jobId, job.commitment, commitment);
        address verifier = _requireQuorum(jobId, commitment, rules.quorum, true, bytes32(0), attestations);
        // Effect.
        _settle(jobId, job, rules, Verdict.VERIFIERS, verifier);
        if (isDisputed) _loseChallenge(jobId, job, rules);
    }

    /// @inheritdoc IEmethCore
    function rejectResult(bytes16 jobId, bytes20 commitment, bytes32 reasonHash, bytes[] calldata attestations) external {
        (PackedJob memory job, Terms memory rules) = _judged(jobId);
        // Check: this result, by enough verifiers, in the window.
        _requireInWindow(jobId, job, rules);
        _requireResult(jobId, job.commitment, commitment);
        address verifier = _requireQuorum(jobId, commitment, rules.quorum, false, reasonHash, attestations);
        // Effect: the verifier earns what accepting would earn it; the node's penalty replaces that to the requester.
        uint256 verifierFee = _part(job.fee, rules.verifierBps);
        uint256 penalty = _part(job.fee, rules.penaltyBps);
        uint256 refund = _locked(job.fee, rules);
        uint256 lost = penalty - verifierFee;
        if (job.state == State.DISPUTED) lost -= _winChallenge(jobId, penalty);
        _owe(job.requester, refund);
        _oweAndForfeit(job.node, job.fee - penalty, lost);
        _owe(verifier, verifierFee);
        _endSubmitted(jobId, State.FAILED);
        emit JobRejected(jobId, reasonHash, refund, job.fee - penalty, lost, verifier, verifierFee);
    }

    /// @inheritdoc IEmethCore
    function accept(bytes16 jobId) external {
        PackedJob memory job = _in(jobId, State.SUBMITTED);
        // Check: the requester accepts for itself only.
        if (msg.sender != job.requester) revert EmethCore_NotRequester(jobId, msg.sender);
        // Effect: nobody verified, so the verifier's fee goes back.
        _settle(jobId, job, _terms[job.termsId], Verdict.REQUESTER, address(0));
    }

    /// @inheritdoc IEmethCore
    function finalize(bytes16 jobId) external {
        PackedJob memory job = _in(jobId, State.SUBMITTED);
        Terms memory rules = _terms[job.termsId];
        // Check: no verdict came in its window.
        _requireWindowOver(jobId, job, rules);
        // Effect.
        _settle(jobId, job, rules, Verdict.TIME, address(0));
    }

    /// @inheritdoc IEmethCore
    function challenge(bytes16 jobId) external nonReentrant {
        PackedJob storage job = _in(jobId, State.SUBMITTED);
        Terms memory rules = _terms[job.termsId];
        // Check: in the window.
        _requireInWindow(jobId, job, rules);
        // Effect: the window begins again.
        uint96 bond = _part(job.fee, rules.penaltyBps);
        (job.time, job.state) = (uint40(block.timestamp), State.DISPUTED);
        _challengers[jobId] = msg.sender;
        emit JobChallenged(jobId, msg.sender, bond);
        // Interaction.
        _collect(msg.sender, bond);
    }

    /// @inheritdoc IEmethCore
    function unwind(bytes16 jobId) external {
        PackedJob memory job = _in(jobId, State.DISPUTED);
        Terms memory rules = _terms[job.termsId];
        // Check: the verifiers had their time.
        _requireWindowOver(jobId, job, rules);
        // Effect: nobody was proved wrong, so everybody gets back what it put in.
        uint256 refund = _locked(job.fee, rules);
        uint256 bond = _part(job.fee, rules.penaltyBps);
        address challenger = _challengers[jobId];
        _owe(job.requester, refund);
        _owe(job.node, job.fee);
        _owe(challenger, bond);
        _endSubmitted(jobId, State.UNVERIFIED);
        emit JobUnwound(jobId, refund, job.fee, challenger, bond);
    }

    /// @dev Copies, because every field is needed and reading storage again and again costs.
    function _judged(bytes16 jobId) private view returns (PackedJob memory job, Terms memory rules) {
        job = _jobs[jobId];
        if (job.state != State.SUBMITTED && job.state != State.DISPUTED) {
            revert EmethCore_WrongState(jobId, job.state, State.SUBMITTED);
        }
        rules = _terms[job.termsId];
    }

    function _requireInWindow(bytes16 jobId, PackedJob memory job, Terms memory rules) private view {
        uint40 end = _windowEnd(job, rules);
        if (block.timestamp > end) revert EmethCore_DeadlinePassed(jobId, end);
    }

    function _requireWindowOver(bytes16 jobId, PackedJob memory job, Terms memory rules) private view {
        uint40 end = _windowEnd(job, rules);
        if (block.timestamp <= end) revert EmethCore_TooEarly(jobId, end);
    }

    function _endSubmitted(bytes16 jobId, State end) private {
        PackedJob storage job = _jobs[jobId];
        _end(job, end);
        (job.payout, job.commitment) = (0, 0);
    }

    /// @dev The result stands: payout for node and workers, its burnt part booked in the node's name, the deposit back to the node,
    /// what is left of what the requester put in back to it. A zero `verifier` earned nothing.
    function _settle(bytes16 jobId, PackedJob memory job, Terms memory rules, Verdict verdict, address verifier) private {
        uint256 earned = verifier == address(0) ? 0 : _part(job.fee, rules.verifierBps);
        uint256 burnt = _part(job.payout, rules.burnBps);
        uint256 refund = _locked(job.fee, rules) - job.payout - earned - burnt;
        (_jobs[jobId].time, _jobs[jobId].state) = (uint40(block.timestamp) + rules.claimWindow, State.VERIFIED);
        _owe(job.requester, refund);
        _oweAndForfeit(job.node, job.fee, burnt);
        _owe(verifier, earned);
        uint256 slot = _book(job.node, burnt);
        emit JobVerified(jobId, job.node, verdict, job.payout, refund, job.fee, slot, burnt, verifier, earned);
    }

    /// @dev The result was good: half the bond compensates the node for the wait, the rest nobody gets.
    function _loseChallenge(bytes16 jobId, PackedJob memory job, Terms memory rules) private {
        uint256 bond = _part(job.fee, rules.penaltyBps);
        uint256 toNode = bond / 2;
        _owe(job.node, toNode);
        _oweAndForfeit(_challengers[jobId], 0, bond - toNode);
        emit ChallengeDecided(jobId, _challengers[jobId], false, 0, toNode, bond - toNode);
    }

    /// @dev The result was bad: the bond comes back, and with it a quarter of the node's penalty, which is as high. A verifier's fee is
    /// at most another quarter, so at least half the penalty is burnt.
    function _winChallenge(bytes16 jobId, uint256 bond) private returns (uint256 reward) {
        reward = bond / 4;
        _owe(_challengers[jobId], bond + reward);
        emit ChallengeDecided(jobId, _challengers[jobId], true, bond + reward, 0, 0);
    }

    /// @dev A calling verifier counts without a signature; the others sign. Signers ascend, so none counts twice.
    /// @return earner The calling verifier, or the first signer when somebody else brings the signatures: so nobody but another
    /// verifier gains by copying them out of a waiting transaction.
    function _requireQuorum(
        bytes16 jobId,
        bytes20 commitment,
        uint256 quorum,
        bool accepted,
        bytes32 reasonHash,
        bytes[] calldata attestations
    ) private view returns (address earner) {
        uint256 count = 0;
        if (_isVerifier(msg.sender)) (count, earner) = (1, msg.sender);
        if (attestations.length > 0) {
            bytes32 content = keccak256(abi.encode(ATTESTATION, jobId, commitment, accepted, reasonHash));
            (uint256 others, address first) = _countSigners(_hashTypedDataV4(content), attestations);
            count += others;
            if (earner == address(0)) earner = first;
        }
        if (count == 0) revert EmethCore_NotVerifier(msg.sender);
        if (count < quorum) revert EmethCore_QuorumNotReached(count, quorum);
    }

    /// @return others Verifiers that signed, besides the caller.
    /// @return first The one with the smallest address.
    function _countSigners(bytes32 digest, bytes[] calldata attestations) private view returns (uint256 others, address first) {
        address before = address(0);
        for (uint256 i = 0; i < attestations.length; ++i) {
            address signer = ECDSA.recoverCalldata(digest, attestations[i]);
            if (signer <= before) revert EmethCore_AttestationsNotSorted(before, signer);
            if (!_isVerifier(signer)) revert EmethCore_NotVerifier(signer);
            if (signer != msg.sender) ++others;
            if (i == 0) first = signer;
            before = signer;
        }
    }
}
