// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

contract EmethCore_accept_Tree is EscrowFixture {
    function test_WhenTheJobIsNotSubmitted_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.SUBMITTED, requester, _call);
    }

    function test_WhenTheCallerIsNotTheRequester_ItRevertsWithNotRequester() external {
        bytes16 job = _submitted();
        _refuses(node, _call(job), _notRequester(job, node));
    }

    function test_WhenTheRequesterAccepts_GivenTheWindow_ItPaysOutTheJobAndGivesTheVerifierFeeBack() external {
        bytes16 job = _submitted();
        _settles(job, requester, IEmethCore.Verdict.REQUESTER, _call(job));
    }

    function test_WhenTheRequesterAccepts_GivenThatTheWindowIsOver_ItSettlesAllTheSame() external {
        bytes16 job = _submitted();
        _wait(VERDICT_WINDOW + 1);
        _settles(job, requester, IEmethCore.Verdict.REQUESTER, _call(job));
    }

    function _call(bytes16 job) private view returns (bytes memory) {
        return abi.encodeCall(core.accept, (job));
    }
}

contract EmethCore_finalize_Tree is EscrowFixture {
    function test_WhenTheJobIsNotSubmitted_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.SUBMITTED, stranger, _call);
    }

    function test_WhenItIsTheLastSecondOfTheWindow_ItRevertsWithTooEarly() external {
        bytes16 job = _submitted();
        uint256 end = _now() + VERDICT_WINDOW;
        _wait(VERDICT_WINDOW);
        _refuses(stranger, _call(job), _tooEarly(job, end));
    }

    function test_WhenTheWindowIsOver_ItPaysOutTheJobAndGivesTheVerifierFeeBackByAnybodysHand() external {
        bytes16 job = _submitted();
        _wait(VERDICT_WINDOW + 1);
        _settles(job, stranger, IEmethCore.Verdict.TIME, _call(job));
        _booked(stranger, 0, 0);
    }

    function _call(bytes16 job) private view returns (bytes memory) {
        return abi.encodeCall(core.finalize, (job));
    }
}

contract EmethCore_challenge_Tree is EscrowFixture {
    function test_WhenTheJobIsNotSubmitted_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.SUBMITTED, challenger, _call);
    }

    function test_WhenTheWindowIsOver_ItRevertsWithDeadlinePassed() external {
        bytes16 job = _submitted();
        uint256 end = _now() + VERDICT_WINDOW;
        _wait(VERDICT_WINDOW + 1);
        _refuses(challenger, _call(job), _deadlinePassed(job, end));
    }

    function test_WhenTheCallerHasFewerTokensThanTheBond_ItRevertsWithERC20InsufficientBalance() external {
        bytes16 job = _submitted();
        vm.prank(challenger);
        token.transfer(stranger, FUNDS - PENALTY + 1);
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, challenger, PENALTY - 1, PENALTY);
        _refuses(challenger, _call(job), refusal);
    }

    function test_WhenItIsInTime_GivenTheLastSecond_ItLocksABondAsHighAsThePenaltyAndBeginsTheWindowAgain() external {
        bytes16 job = _submitted();
        _wait(VERDICT_WINDOW);
        _emits();
        emit IEmethCore.JobChallenged(job, challenger, PENALTY);
        vm.prank(challenger);
        core.challenge(job);
        IEmethCore.Job memory expected = _freshJob(_now() + VERDICT_WINDOW);
        (expected.state, expected.node, expected.challenger) = (IEmethCore.State.DISPUTED, node, challenger);
        (expected.payout, expected.commitment) = (PAYOUT, _commitment());
        _isJob(job, expected);
        _has(challenger, FUNDS - PENALTY);
        _has(address(core), LOCKED + FEE + PENALTY);
        _booked(challenger, 0, 0);
    }

    function test_WhenItIsInTime_GivenThatTheRequesterChallengesWithItsCredit_ItTakesTheBondFromTheCredit() external {
        bytes16 job = _submitted();
        vm.prank(stranger);
        core.deposit(requester, PENALTY + 3);
        _emits();
        emit IEmethCore.CreditUsed(requester, PENALTY);
        vm.prank(requester);
        core.challenge(job);
        _booked(requester, 3, 0);
        _has(requester, FUNDS - LOCKED);
    }

    function _call(bytes16 job) private view returns (bytes memory) {
        return abi.encodeCall(core.challenge, (job));
    }
}

contract EmethCore_unwind_Tree is EscrowFixture {
    function test_WhenTheJobIsNotDisputed_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.DISPUTED, stranger, _call);
    }

    function test_WhenItIsTheLastSecondOfTheWindow_ItRevertsWithTooEarly() external {
        bytes16 job = _disputed();
        uint256 end = _now() + VERDICT_WINDOW;
        _wait(VERDICT_WINDOW);
        _refuses(stranger, _call(job), _tooEarly(job, end));
    }

    function test_WhenTheWindowIsOver_ItGivesEverybodyBackWhatItPutIn() external {
        bytes16 job = _disputed();
        uint256 began = _now();
        _wait(VERDICT_WINDOW + 1);
        _emits();
        emit IEmethCore.JobUnwound(job, LOCKED, FEE, challenger, PENALTY);
        vm.prank(stranger);
        core.unwind(job);
        IEmethCore.Job memory expected = _endedJob(IEmethCore.State.UNVERIFIED);
        expected.challenger = challenger;
        _isJob(job, expected);
        _booked(requester, LOCKED, 0);
        _booked(node, FEE, 0);
        _booked(challenger, PENALTY, 0);
        _booked(stranger, 0, 0);
        _has(address(core), LOCKED + FEE + PENALTY);
        _equal(core.slotBurnt(_now() / 1 days), 0, "burnt in the slot");
    }

    function _call(bytes16 job) private view returns (bytes memory) {
        return abi.encodeCall(core.unwind, (job));
    }
}
