// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

contract EmethCore_decline_Tree is EscrowFixture {
    function test_WhenTheJobIsNotBeingProcessed_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.PROCESSING, node, _call);
    }

    function test_WhenTheCallerIsNotItsNode_ItRevertsWithNotNode() external {
        bytes16 job = _processing();
        _refuses(requester, _call(job), _notNode(job, requester));
    }

    function test_WhenTheDeadlineHasPassed_ItRevertsWithDeadlinePassed() external {
        bytes16 job = _processing();
        uint256 deadline = _now() + WORK;
        _wait(WORK + 1);
        _refuses(node, _call(job), _deadlinePassed(job, deadline));
    }

    function test_WhenAnotherNodeHasJustEnoughTime_ItReturnsTheDepositLessThePenaltyAndReopensTheJob() external {
        bytes16 job = _processing();
        uint256 deadline = _now() + WORK;
        _wait(WORK - 60);
        _emits();
        emit IEmethCore.JobDeclined(job, node, true, FEE - DECLINE_PENALTY, DECLINE_PENALTY, 0);
        vm.prank(node);
        core.decline(job);
        _isJob(job, _freshJob(deadline));
        _booked(node, FEE - DECLINE_PENALTY, DECLINE_PENALTY);
        _booked(requester, 0, 0);
        _has(address(core), LOCKED + FEE);
    }

    function test_WhenTooLittleTimeIsLeft_ItEndsTheJobAndRefundsTheRequesterBesides() external {
        bytes16 job = _processing();
        uint256 deadline = _now() + WORK;
        _wait(WORK - 59);
        _emits();
        emit IEmethCore.JobDeclined(job, node, false, FEE - PENALTY, PENALTY, LOCKED);
        vm.prank(node);
        core.decline(job);
        _isJob(job, _endedJob(IEmethCore.State.DECLINED));
        _booked(node, FEE - PENALTY, PENALTY);
        _booked(requester, LOCKED, 0);
        _has(address(core), LOCKED + FEE);
    }

    function _call(bytes16 job) private view returns (bytes memory) {
        return abi.encodeCall(core.decline, (job));
    }
}

contract EmethCore_timeout_Tree is EscrowFixture {
    function test_WhenTheJobIsNotBeingProcessed_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.PROCESSING, stranger, _call);
    }

    function test_WhenItIsTheSecondOfTheDeadline_ItRevertsWithTooEarly() external {
        bytes16 job = _processing();
        uint256 deadline = _now() + WORK;
        _wait(WORK);
        _refuses(stranger, _call(job), _tooEarly(job, deadline));
    }

    function test_WhenTheDeadlineHasPassed_GivenThatAStrangerCalls_ItRefundsTheRequesterPenalisesTheNodeAndTipsTheCaller()
        external
    {
        _timeOutBy(stranger);
        _booked(node, FEE - PENALTY, PENALTY - TIP);
        _booked(stranger, TIP, 0);
    }

    function test_WhenTheDeadlineHasPassed_GivenThatTheNodeCalls_ItBooksDepositAndTipTogether() external {
        _timeOutBy(node);
        _booked(node, FEE - PENALTY + TIP, PENALTY - TIP);
    }

    function _timeOutBy(address caller) private {
        bytes16 job = _processing();
        uint256 deadline = _now() + WORK;
        _wait(WORK + 1);
        _emits();
        emit IEmethCore.JobTimedOut(job, node, LOCKED, FEE - PENALTY, PENALTY - TIP, caller, TIP);
        vm.prank(caller);
        core.timeout(job);
        _isJob(job, _endedJob(IEmethCore.State.TIMEOUT));
        _booked(requester, LOCKED, 0);
        _has(address(core), LOCKED + FEE);
    }

    function _call(bytes16 job) private view returns (bytes memory) {
        return abi.encodeCall(core.timeout, (job));
    }
}

contract EmethCore_submit_Tree is EscrowFixture {
    function test_WhenTheJobIsNotBeingProcessed_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.PROCESSING, node, _call);
    }

    function test_WhenTheCallerIsNotItsNode_ItRevertsWithNotNode() external {
        bytes16 job = _processing();
        _refuses(requester, _call(job), _notNode(job, requester));
    }

    function test_WhenTheDeadlineHasPassed_ItRevertsWithDeadlinePassed() external {
        bytes16 job = _processing();
        uint256 deadline = _now() + WORK;
        _wait(WORK + 1);
        _refuses(node, _call(job), _deadlinePassed(job, deadline));
    }

    function test_WhenMoreFuelWasUsedThanBought_ItRevertsWithFuelAboveLimit() external {
        bytes16 job = _processing();
        bytes memory refusal =
            abi.encodeWithSelector(IEmethCore.EmethCore_FuelAboveLimit.selector, job, FUEL + 1, FUEL);
        _refuses(node, abi.encodeCall(core.submit, (job, RESULT, FUEL + 1, _root(), "r")), refusal);
    }

    function test_WhenItsNodeSubmits_GivenTheLastSecond_ItBooksPayoutAndCommitmentAndMovesNoMoney() external {
        bytes16 job = _processing();
        _wait(WORK);
        _submits(job, FUEL_USED, PAYOUT);
        IEmethCore.Job memory expected = _freshJob(_now() + VERDICT_WINDOW);
        (expected.state, expected.node) = (IEmethCore.State.SUBMITTED, node);
        (expected.payout, expected.commitment) = (PAYOUT, _commitment());
        _isJob(job, expected);
        _booked(node, 0, 0);
        _booked(requester, 0, 0);
        _has(address(core), LOCKED + FEE);
    }

    function test_WhenItsNodeSubmits_GivenThatAllFuelWasUsed_ItBooksTheWholeFeeAsPayout() external {
        _submits(_processing(), FUEL, FEE);
    }

    function test_WhenItsNodeSubmits_GivenThatNoFuelWasUsed_ItBooksNoPayout() external {
        _submits(_processing(), 0, 0);
    }

    function test_WhenItsNodeSubmits_GivenAShareThatDoesNotDivide_ItRoundsThePayoutDown() external {
        vm.prank(requester);
        bytes16 job = core.request(DATASET, PARAMS, 1e18, 3, uint40(_now()) + WORK, 0);
        _process(job);
        _submits(job, 2, 666_666_666_666_666_666);
    }

    function test_WhenItsNodeSubmits_GivenThatItIsPausedAndTheNodeIsNoLongerActive_ItStillBooksTheResult() external {
        bytes16 job = _processing();
        _pause();
        vm.prank(node);
        registry.deactivate(node);
        _submits(job, FUEL_USED, PAYOUT);
    }

    function _submits(bytes16 job, uint40 fuelUsed, uint96 payout) private {
        _emits();
        emit IEmethCore.JobSubmitted(job, node, RESULT, _root(), fuelUsed, payout, "https://node.example/result");
        vm.prank(node);
        core.submit(job, RESULT, fuelUsed, _root(), "https://node.example/result");
        _equal(core.jobs(job).payout, payout, "payout");
        _inState(job, IEmethCore.State.SUBMITTED);
    }

    function _call(bytes16 job) private view returns (bytes memory) {
        return abi.encodeCall(core.submit, (job, RESULT, FUEL_USED, _root(), "r"));
    }
}
