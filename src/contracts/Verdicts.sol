// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";
import {JobBook} from "./JobBook.sol";

/// @title How a submitted result comes to its end
/// @notice A quorum of verifiers decides, or the requester accepts it, or it stands when nobody has decided
/// in time. A challenge gives the verifiers one more window, and only their verdict can make the result stand
/// then.
abstract contract Verdicts is JobBook {
    bytes32 private constant ATTESTATION =
        keccak256("Attestation(bytes16 jobId,bytes20 commitment,bool accepted,bytes16 reasonHash)");

    uint256 private constant SIGNATURE = 65;

    /// @inheritdoc IEmethCore
    function verify(bytes16 jobId, bytes20 commitment, bytes calldata attestations) external {
        // Check: a quorum accepts exactly this result, in time.
        (PackedJob storage job, Terms storage rules,, bool isDisputed, address verifier) =
            _judge(jobId, commitment, true, bytes16(0), attestations);
        // Effect: the result stands, and a challenger loses its bond.
        _settle(jobId, job, rules, Verdict.VERIFIERS, verifier);
        if (isDisputed) _loseChallenge(jobId, job, rules);
    }

    /// @inheritdoc IEmethCore
    function rejectResult(bytes16 jobId, bytes20 commitment, bytes16 reasonHash, bytes calldata attestations) external {
        // Check: a quorum rejects exactly this result, in time.
        (PackedJob storage job, Terms storage rules, address node, bool isDisputed, address verifier) =
            _judge(jobId, commitment, false, reasonHash, attestations);
        // Effect: the verifier earns as much as for accepting, but out of the node's penalty, so the
        // requester gets its part back.
        (address requester, uint256 fee) = (job.requester, job.fee);
        (uint256 verifierFee, uint256 burnFee, uint256 penalty) = _parts(fee, rules);
        uint256 refund;
        uint256 returned;
        uint256 lost;
        // Terms are bounded: a penalty is at most half the fee, and what others get of it at most half of
        // that.
        unchecked {
            (refund, returned, lost) = (fee + verifierFee + burnFee, fee - penalty, penalty - verifierFee);
            if (isDisputed) lost -= _winChallenge(jobId, penalty);
        }
        _endSubmitted(job, State.FAILED);
        _accounts[requester].owe(refund);
        _accounts[node].oweAndForfeit(returned, lost);
        _accounts[verifier].owe(verifierFee);
        emit JobRejected(jobId, reasonHash, refund, returned, lost, verifier, verifierFee);
    }

    /// @inheritdoc IEmethCore
    function accept(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.SUBMITTED);
        // Check: the caller is the requester.
        if (msg.sender != job.requester) revert EmethCore_NotRequester(jobId, msg.sender);
        // Effect: the result stands, and the unearned verifier fee goes back to the requester.
        _settle(jobId, job, _terms[job.termsId], Verdict.REQUESTER, address(0));
    }

    /// @inheritdoc IEmethCore
    function finalize(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.SUBMITTED);
        Terms storage rules = _terms[job.termsId];
        // Check: the window for a verdict is over.
        _requireWindowOver(jobId, job.time, rules);
        // Effect: the result stands, and nobody earns the verifier fee.
        _settle(jobId, job, rules, Verdict.TIME, address(0));
    }

    /// @inheritdoc IEmethCore
    function challenge(bytes16 jobId) external nonReentrant {
        PackedJob storage job = _in(jobId, State.SUBMITTED);
        Terms storage rules = _terms[job.termsId];
        // Check: the window for a verdict is open.
        uint40 end = _windowEnd(job.time, rules);
        if (block.timestamp > end) revert EmethCore_DeadlinePassed(jobId, end);
        // Effect: the window begins again.
        uint256 bond = _part(job.fee, rules.penaltyBps);
        (job.time, job.state) = (uint40(block.timestamp), State.DISPUTED);
        _challengers[jobId] = msg.sender;
        emit JobChallenged(jobId, msg.sender, bond);
        // Interaction: the bond comes in.
        _collect(msg.sender, bond);
    }

    /// @inheritdoc IEmethCore
    function unwind(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.DISPUTED);
        Terms storage rules = _terms[job.termsId];
        // Check: the window of the dispute is over.
        _requireWindowOver(jobId, job.time, rules);
        // Effect: no side was proved wrong, so every side gets back what it put in.
        (address requester, uint256 fee, address node) = (job.requester, job.fee, job.node);
        uint256 refund = _locked(fee, rules);
        uint256 bond = _part(fee, rules.penaltyBps);
        address challenger = _challengers[jobId];
        _owe(requester, refund);
        _owe(node, fee);
        _owe(challenger, bond);
        _endSubmitted(job, State.UNVERIFIED);
        emit JobUnwound(jobId, refund, fee, challenger, bond);
    }

    /// @dev Requires a verdict on this result, by enough verifiers and in the window. A late verdict may
    /// still accept an undisputed result, as `finalize` would. Fields of one storage word are read together,
    /// because each read costs gas.
    function _judge(bytes16 jobId, bytes20 commitment, bool accepted, bytes16 reasonHash, bytes calldata attestations)
        private
        view
        returns (PackedJob storage job, Terms storage rules, address node, bool isDisputed, address verifier)
    {
        job = _jobs[jobId];
        State state;
        uint8 termsId;
        uint256 since;
        (node, since, termsId, state) = (job.node, job.time, job.termsId, job.state);
        isDisputed = state == State.DISPUTED;
        if (state != State.SUBMITTED && !isDisputed) revert EmethCore_WrongState(jobId, state, State.SUBMITTED);
        rules = _terms[termsId];
        (uint256 end, uint256 quorum) = (since + rules.verdictWindow, rules.quorum);
        if (block.timestamp > end && (isDisputed || !accepted)) revert EmethCore_DeadlinePassed(jobId, uint40(end));
        if (commitment != job.commitment) revert EmethCore_WrongResult(jobId, commitment);
        verifier = _requireQuorum(jobId, commitment, quorum, accepted, reasonHash, attestations);
    }

    function _requireWindowOver(bytes16 jobId, uint256 since, Terms storage rules) private view {
        uint40 end = _windowEnd(since, rules);
        if (block.timestamp <= end) revert EmethCore_TooEarly(jobId, end);
    }

    function _endSubmitted(PackedJob storage job, State end) private {
        _end(job, end);
        (job.payout, job.commitment) = (0, 0);
    }

    /// @dev The result stands. The payout stays locked for the workers; what is burnt on top of it is booked
    /// in the node's name. The node gets its deposit back, and the requester what is left of all it put in. A
    /// zero `verifier` earned nothing.
    function _settle(bytes16 jobId, PackedJob storage job, Terms storage rules, Verdict verdict, address verifier) private {
        (address requester, uint256 fee, address node, uint256 payout) = (job.requester, job.fee, job.node, job.payout);
        uint256 earned = verifier == address(0) ? 0 : _part(fee, rules.verifierBps);
        uint256 burnt = _part(payout, rules.burnBps);
        uint256 refund = _locked(fee, rules) - payout - earned - burnt;
        (job.time, job.state) = (uint40(block.timestamp) + rules.claimWindow, State.VERIFIED);
        _owe(requester, refund);
        _oweAndForfeit(node, fee, burnt);
        _owe(verifier, earned);
        uint256 slot = _book(node, burnt);
        emit JobVerified(jobId, node, verdict, payout, refund, fee, slot, burnt, verifier, earned);
    }

    /// @dev The result was good: half the challenger's bond pays the node for the wait, the other half is to
    /// be burnt.
    function _loseChallenge(bytes16 jobId, PackedJob storage job, Terms storage rules) private {
        uint256 bond = _part(job.fee, rules.penaltyBps);
        uint256 toNode = bond / 2;
        _owe(job.node, toNode);
        _oweAndForfeit(_challengers[jobId], 0, bond - toNode);
        emit ChallengeDecided(jobId, _challengers[jobId], false, 0, toNode, bond - toNode);
    }

    /// @dev The result was bad: the challenger gets its bond back and a quarter of the node's penalty, which
    /// is as high as the bond. A verifier's fee is at most another quarter, so at least half the penalty is
    /// burnt.
    function _winChallenge(bytes16 jobId, uint256 bond) private returns (uint256 reward) {
        reward = bond / 4;
        _owe(_challengers[jobId], bond + reward);
        emit ChallengeDecided(jobId, _challengers[jobId], true, bond + reward, 0, 0);
    }

    /// @dev A calling verifier counts without a signature; the others sign. Signers ascend, so none counts
    /// twice.
    /// @return earner The calling verifier, or the first signer when somebody else brings the signatures: so
    /// nobody but another verifier gains by copying them out of a waiting transaction.
    function _requireQuorum(
        bytes16 jobId,
        bytes20 commitment,
        uint256 quorum,
        bool accepted,
        bytes16 reasonHash,
        bytes calldata attestations
    ) private view returns (address earner) {
        uint256 count = 0;
        if (_isVerifier(msg.sender)) (count, earner) = (1, msg.sender);
        if (attestations.length > 0) {
            bytes32 content = keccak256(abi.encode(ATTESTATION, jobId, commitment, accepted, reasonHash));
            (uint256 others, address first) = _countSigners(_hashTypedDataV4(content), attestations);
            count += others;
            if (earner == address(0)) earner = first;
        }
        if (count < quorum) {
            if (count == 0) revert EmethCore_NotVerifier(msg.sender);
            revert EmethCore_QuorumNotReached(count, quorum);
        }
    }

    /// @return others Verifiers that signed, besides the caller.
    /// @return first The one with the smallest address.
    function _countSigners(bytes32 digest, bytes calldata attestations) private view returns (uint256 others, address first) {
        address before = address(0);
        if (attestations.length % SIGNATURE != 0) revert EmethCore_AttestationsCut(attestations.length);
        for (uint256 i = 0; i < attestations.length; i += SIGNATURE) {
            address signer = ECDSA.recoverCalldata(digest, attestations[i:i + SIGNATURE]);
            if (signer <= before) revert EmethCore_AttestationsNotSorted(before, signer);
            if (!_isVerifier(signer)) revert EmethCore_NotVerifier(signer);
            if (signer != msg.sender) ++others;
            if (i == 0) first = signer;
            before = signer;
        }
    }
}
