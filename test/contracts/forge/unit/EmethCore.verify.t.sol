// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

contract EmethCore_verify_Tree is EscrowFixture {
    function _firstVerifiers() internal override returns (address[] memory) {
        return _panelOfThree();
    }

    function _firstTerms() internal pure override returns (IEmethCore.Terms memory terms) {
        terms = _defaultTerms();
        terms.quorum = 2;
    }


    function test_WhenTheJobIsNeitherSubmittedNorDisputed_ItRevertsWithWrongState() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.quorum = 1;
        core.setTerms(next);
        _refusedInAllBut(IEmethCore.State.SUBMITTED, IEmethCore.State.DISPUTED, verifier, _alone);
    }

    function test_WhenAnotherResultIsMeant_ItRevertsWithWrongResult() external {
        bytes16 job = _submitted();
        bytes20 other = bytes20(keccak256("other"));
        _refuses(verifier, abi.encodeCall(core.verify, (job, other, "")), _wrongResult(job, other));
    }

    function test_WhenNobodyAttestsAndTheCallerIsNoVerifier_ItRevertsWithNotVerifier() external {
        bytes16 job = _submitted();
        _refuses(stranger, _alone(job), _notVerifier(stranger));
        _refuses(admin, _alone(job), _notVerifier(admin));
    }

    function test_WhenFewerAttestThanTheQuorum_ItRevertsWithQuorumNotReached() external {
        bytes16 job = _submitted();
        _refuses(panel[0], _alone(job), _quorumNotReached(1, 2));
        _refuses(stranger, _call(job, 1, keys[1], 0), _quorumNotReached(1, 2));
    }

    function test_WhenASignerIsNoVerifier_ItRevertsWithNotVerifier() external {
        bytes16 job = _submitted();
        _refuses(panel[0], _call(job, 1, REQUESTER_KEY, 0), _notVerifier(requester));
    }

    function test_WhenAVerifierWasDismissed_ItRevertsWithNotVerifier() external {
        bytes16 job = _submitted();
        core.revokeRole(core.VERIFIER_ROLE(), panel[1]);
        _refuses(panel[0], _call(job, 1, keys[1], 0), _notVerifier(panel[1]));
        _refuses(panel[1], _alone(job), _notVerifier(panel[1]));
    }

    function test_WhenTheSignersDoNotAscend_ItRevertsWithAttestationsNotSorted() external {
        bytes16 job = _submitted();
        _refuses(stranger, _call(job, 2, keys[1], keys[0]), _notSorted(panel[1], panel[0]));
    }

    function test_WhenASignerComesTwice_ItRevertsWithAttestationsNotSorted() external {
        bytes16 job = _submitted();
        _refuses(stranger, _call(job, 2, keys[1], keys[1]), _notSorted(panel[1], panel[1]));
    }

    function test_WhenTheCallerSignedToo_ItRevertsWithQuorumNotReached() external {
        bytes16 job = _submitted();
        _refuses(panel[1], _call(job, 1, keys[1], 0), _quorumNotReached(1, 2));
    }

    function test_WhenASignatureIsCut_ItRevertsWithAttestationsCut() external {
        bytes16 job = _submitted();
        bytes memory cut = bytes.concat(_signed(1, keys[1], 0, job, true), new bytes(64));
        bytes memory refusal = abi.encodeWithSelector(IEmethCore.EmethCore_AttestationsCut.selector, 129);
        _refuses(panel[0], abi.encodeCall(core.verify, (job, _commitment(), cut)), refusal);
    }

    function test_WhenTheSignatureIsNoSignature_ItRevertsWithECDSAInvalidSignature() external {
        bytes16 job = _submitted();
        bytes memory refusal = abi.encodeWithSelector(ECDSA.ECDSAInvalidSignature.selector);
        _refuses(panel[0], abi.encodeCall(core.verify, (job, _commitment(), new bytes(65))), refusal);
    }

    function test_WhenTheSignatureIsForARejection_ItRevertsWithNotVerifier() external {
        bytes16 job = _submitted();
        bytes memory attestations = _signed(1, keys[1], 0, job, false);
        vm.prank(panel[0]);
        (bool done, bytes memory answer) =
            address(core).call(abi.encodeCall(core.verify, (job, _commitment(), attestations)));
        require(!done, "a rejection was taken for an acceptance");
        // A signature over other content recovers to some account that cannot be chosen.
        bytes4 found = bytes4(answer);
        require(
            found == IEmethCore.EmethCore_NotVerifier.selector && answer.length == 36, "refused with another error"
        );
    }

    function test_WhenTheJobIsDisputedAndItsWindowIsOver_ItRevertsWithDeadlinePassed() external {
        bytes16 job = _disputed();
        uint256 end = _now() + VERDICT_WINDOW;
        _wait(VERDICT_WINDOW + 1);
        _refuses(panel[0], _call(job, 1, keys[1], 0), _deadlinePassed(job, end));
    }

    function test_WhenAQuorumAccepts_GivenThatAVerifierCalls_ItPaysOutTheJobAndTheFeeToTheCaller() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.quorum = 1;
        core.setTerms(next);
        bytes16 job = _submitted();
        _expectVerified(job, VERIFIER_FEE, panel[2], PAYOUT, BURNT);
        _by(panel[2], _alone(job));
        IEmethCore.Job memory expected = _freshJob(_now() + CLAIM_WINDOW);
        (expected.state, expected.node, expected.termsId) = (IEmethCore.State.VERIFIED, node, 1);
        (expected.payout, expected.commitment) = (PAYOUT, _commitment());
        _isJob(job, expected);
        _paid(panel[2]);
        _equal(core.slotBurnt(_now() / 1 days), BURNT, "burnt in the slot");
        _equal(core.slotBurntBy(_now() / 1 days, node), BURNT, "burnt by the node");
    }

    function test_WhenAQuorumAccepts_GivenThatAStrangerBringsTheSignatures_ItPaysTheFeeToTheFirstSigner() external {
        bytes16 job = _submitted();
        _expectVerified(job, VERIFIER_FEE, panel[0], PAYOUT, BURNT);
        _by(stranger, _call(job, 2, keys[0], keys[2]));
        _paid(panel[0]);
        _booked(panel[2], 0, 0);
        _booked(stranger, 0, 0);
    }

    function test_WhenAQuorumAccepts_GivenThatAVerifierBringsOthersSignatures_ItPaysTheFeeToTheCaller() external {
        bytes16 job = _submitted();
        _expectVerified(job, VERIFIER_FEE, panel[2], PAYOUT, BURNT);
        _by(panel[2], _call(job, 1, keys[0], 0));
        _paid(panel[2]);
        _booked(panel[0], 0, 0);
    }

    function test_WhenAQuorumAccepts_GivenThatTheWindowIsOverAndNobodySettled_ItStillSettles() external {
        bytes16 job = _submitted();
        _wait(VERDICT_WINDOW + 1);
        _expectVerified(job, VERIFIER_FEE, panel[0], PAYOUT, BURNT);
        _by(panel[0], _call(job, 1, keys[1], 0));
        _paid(panel[0]);
    }

    function test_WhenAQuorumAccepts_GivenThatNoFuelWasUsed_ItPaysTheVerifierAndBooksNothingAsBurnt() external {
        bytes16 job = _processing();
        vm.prank(node);
        core.submit(job, RESULT, 0, _root(), "r");
        _expectVerified(job, VERIFIER_FEE, panel[0], 0, 0);
        _by(panel[0], _call(job, 1, keys[1], 0));
        _booked(requester, LOCKED - VERIFIER_FEE, 0);
        _booked(node, FEE, 0);
        _booked(panel[0], VERIFIER_FEE, 0);
        _equal(core.slotBurnt(_now() / 1 days), 0, "burnt in the slot");
    }

    function test_WhenAQuorumAccepts_GivenThatTheVerifierIsTheNode_ItBooksDepositAndFeeTogether() external {
        core.grantRole(core.VERIFIER_ROLE(), node);
        bytes16 job = _submitted();
        _by(node, _call(job, 1, keys[0], 0));
        _booked(node, FEE + VERIFIER_FEE, BURNT);
    }

    function test_WhenAQuorumAccepts_GivenThatTheNodeForfeitedBefore_ItKeepsWhatWasForfeited() external {
        bytes16 job = _processing();
        vm.prank(node);
        core.decline(job);
        _process(job);
        _submit(job);
        _by(panel[0], _call(job, 1, keys[1], 0));
        _booked(node, FEE, DECLINE_PENALTY + BURNT);
    }

    function test_WhenAQuorumAccepts_GivenADisputeInItsLastSecond_ItGivesHalfTheBondToTheNodeAndBurnsTheRest() external {
        bytes16 job = _disputed();
        _wait(VERDICT_WINDOW);
        _expectVerified(job, VERIFIER_FEE, panel[0], PAYOUT, BURNT);
        _emits();
        emit IEmethCore.ChallengeDecided(job, challenger, false, 0, 100e18, 100e18);
        _by(panel[0], _call(job, 1, keys[1], 0));
        _booked(requester, LOCKED - PAYOUT - VERIFIER_FEE - BURNT, 0);
        _booked(node, FEE + 100e18, BURNT);
        _booked(challenger, 0, 100e18);
        _booked(panel[0], VERIFIER_FEE, 0);
        _has(address(core), LOCKED + FEE + PENALTY);
        _inState(job, IEmethCore.State.VERIFIED);
        _equal(core.jobs(job).challenger, challenger, "challenger");
    }

    function _expectVerified(bytes16 job, uint256 fee, address earner, uint256 payout, uint256 burnt) private {
        _emits();
        emit IEmethCore.JobVerified(
            job,
            node,
            IEmethCore.Verdict.VERIFIERS,
            payout,
            LOCKED - payout - fee - burnt,
            FEE,
            _now() / 1 days,
            burnt,
            earner,
            fee
        );
    }

    /// @dev Every account has its part of an undisputed job, and the payout is still locked.
    function _paid(address earner) private view {
        _booked(requester, LOCKED - PAYOUT - VERIFIER_FEE - BURNT, 0);
        _booked(node, FEE, BURNT);
        _booked(earner, VERIFIER_FEE, 0);
        _has(address(core), LOCKED + FEE);
    }

    function _alone(bytes16 job) private view returns (bytes memory) {
        return _call(job, 0, 0, 0);
    }

    function _call(bytes16 job, uint256 count, uint256 first, uint256 second) private view returns (bytes memory) {
        return abi.encodeCall(core.verify, (job, _commitment(), _signed(count, first, second, job, true)));
    }

    function _notSorted(address before, address signer) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_AttestationsNotSorted.selector, before, signer);
    }
}

contract EmethCore_rejectResult_Tree is EscrowFixture {
    function _firstVerifiers() internal override returns (address[] memory) {
        return _panelOfThree();
    }

    function _firstTerms() internal pure override returns (IEmethCore.Terms memory terms) {
        terms = _defaultTerms();
        terms.quorum = 2;
    }


    function test_WhenTheJobIsNeitherSubmittedNorDisputed_ItRevertsWithWrongState() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.quorum = 1;
        core.setTerms(next);
        _refusedInAllBut(IEmethCore.State.SUBMITTED, IEmethCore.State.DISPUTED, verifier, _alone);
    }

    function test_WhenTheWindowIsOver_ItRevertsWithDeadlinePassed() external {
        bytes16 submitted = _submitted();
        uint256 end = _now() + VERDICT_WINDOW;
        _wait(VERDICT_WINDOW + 1);
        _refuses(panel[0], _call(submitted, 1, keys[1], 0), _deadlinePassed(submitted, end));
    }

    function test_WhenAnotherResultIsMeant_ItRevertsWithWrongResult() external {
        bytes16 job = _submitted();
        bytes20 other = bytes20(keccak256("other"));
        bytes memory data = abi.encodeCall(core.rejectResult, (job, other, REASON, ""));
        _refuses(verifier, data, _wrongResult(job, other));
    }

    function test_WhenNobodyAttestsAndTheCallerIsNoVerifier_ItRevertsWithNotVerifier() external {
        bytes16 job = _submitted();
        _refuses(requester, _alone(job), _notVerifier(requester));
    }

    function test_WhenFewerAttestThanTheQuorum_ItRevertsWithQuorumNotReached() external {
        bytes16 job = _submitted();
        _refuses(panel[0], _alone(job), _quorumNotReached(1, 2));
        _refuses(stranger, _call(job, 1, keys[1], 0), _quorumNotReached(1, 2));
    }

    function test_WhenTheSignatureGivesAnotherReason_ItRevertsWithNotVerifier() external {
        bytes16 job = _submitted();
        bytes memory attestations = _attest(keys[1], job, false, bytes16(keccak256("another")));
        vm.prank(panel[0]);
        (bool done, bytes memory answer) =
            address(core).call(abi.encodeCall(core.rejectResult, (job, _commitment(), REASON, attestations)));
        require(!done && bytes4(answer) == IEmethCore.EmethCore_NotVerifier.selector, "another reason was accepted");
    }

    function test_WhenAQuorumRejects_GivenTheLastSecond_ItMakesTheRequesterWholeAndTheNodePayVerifierAndPenalty() external {
        bytes16 job = _submitted();
        uint256 began = _now();
        _wait(VERDICT_WINDOW);
        _rejects(job, panel[0], panel[0], _call(job, 1, keys[1], 0), PENALTY - VERIFIER_FEE);
        _isJob(job, _endedJob(IEmethCore.State.FAILED));
        _has(address(core), LOCKED + FEE);
        _equal(core.slotBurnt(_now() / 1 days), 0, "a penalty must earn no reward");
    }

    function test_WhenAQuorumRejects_GivenThatAStrangerBringsTheSignatures_ItPaysTheFeeToTheFirstSigner() external {
        bytes16 job = _submitted();
        _rejects(job, stranger, panel[1], _call(job, 2, keys[1], keys[2]), PENALTY - VERIFIER_FEE);
        _booked(stranger, 0, 0);
        _booked(panel[2], 0, 0);
    }

    function test_WhenAQuorumRejects_GivenADispute_ItReturnsTheBondWithAQuarterOfThePenalty() external {
        bytes16 job = _disputed();
        _emits();
        emit IEmethCore.ChallengeDecided(job, challenger, true, PENALTY + 50e18, 0, 0);
        _rejects(job, panel[0], panel[0], _call(job, 1, keys[1], 0), PENALTY - VERIFIER_FEE - 50e18);
        _booked(challenger, PENALTY + 50e18, 0);
        _has(address(core), LOCKED + FEE + PENALTY);
    }

    function _rejects(bytes16 job, address caller, address earner, bytes memory data, uint256 burnt) private {
        _emits();
        emit IEmethCore.JobRejected(job, REASON, LOCKED, FEE - PENALTY, burnt, earner, VERIFIER_FEE);
        _by(caller, data);
        _inState(job, IEmethCore.State.FAILED);
        _booked(requester, LOCKED, 0);
        _booked(node, FEE - PENALTY, burnt);
        _booked(earner, VERIFIER_FEE, 0);
    }

    function _alone(bytes16 job) private view returns (bytes memory) {
        return _call(job, 0, 0, 0);
    }

    function _call(bytes16 job, uint256 count, uint256 first, uint256 second) private view returns (bytes memory) {
        return abi.encodeCall(core.rejectResult, (job, _commitment(), REASON, _signed(count, first, second, job, false)));
    }
}
