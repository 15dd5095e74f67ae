// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

contract EmethCore_cancel_Tree is EscrowFixture {
    function test_WhenTheJobIsNotRequested_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.REQUESTED, requester, _call);
    }

    function test_WhenTheCallerIsNotTheRequester_ItRevertsWithNotRequester() external {
        bytes16 job = _requested();
        _refuses(stranger, _call(job), _notRequester(job, stranger));
        _refuses(admin, _call(job), _notRequester(job, admin));
    }

    function test_WhenTheCallerIsTheRequester_GivenTheDeadlineHasPassed_ItStillGivesEverythingBack() external {
        bytes16 job = _requested();
        _wait(WORK + 1);
        _cancel(job);
        _booked(requester, LOCKED, 0);
    }

    function test_WhenTheCallerIsTheRequester_GivenTheContractIsPaused_ItGivesEverythingBackAndKeepsTheIdTaken() external {
        bytes16 job = _requested();
        _pause();
        _cancel(job);
        _isJob(job, _endedJob(IEmethCore.State.CANCELED));
        _booked(requester, LOCKED, 0);
        _has(address(core), LOCKED);
        _has(requester, FUNDS - LOCKED);
    }

    function _cancel(bytes16 job) private {
        _emits();
        emit IEmethCore.JobCanceled(job, LOCKED);
        vm.prank(requester);
        core.cancel(job);
    }

    function _call(bytes16 job) private view returns (bytes memory) {
        return abi.encodeCall(core.cancel, (job));
    }
}

contract EmethCore_expire_Tree is EscrowFixture {

    function test_WhenTheJobIsNotRequested_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.REQUESTED, stranger, _call);
    }

    function test_WhenItIsTheSecondOfTheDeadline_ItRevertsWithTooEarly() external {
        bytes16 job = _requested();
        uint256 deadline = _now() + WORK;
        _wait(WORK);
        _refuses(stranger, _call(job), _tooEarly(job, deadline));
    }

    function test_WhenTheDeadlineHasPassed_ItGivesEverythingBackByAnybodysHand() external {
        bytes16 job = _requested();
        uint256 deadline = _now() + WORK;
        _wait(WORK + 1);
        _emits();
        emit IEmethCore.JobExpired(job, LOCKED);
        vm.prank(stranger);
        core.expire(job);
        _isJob(job, _endedJob(IEmethCore.State.TIMEOUT));
        _booked(requester, LOCKED, 0);
        _booked(stranger, 0, 0);
        _has(address(core), LOCKED);
    }

    function _call(bytes16 job) private view returns (bytes memory) {
        return abi.encodeCall(core.expire, (job));
    }
}

contract EmethCore_process_Tree is EscrowFixture {
    function test_WhenTheJobIsNotRequested_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.REQUESTED, node, _call);
    }

    function test_WhenTheContractIsPaused_ItRevertsWithPaused() external {
        bytes16 job = _requested();
        _pause();
        _refuses(node, _call(job), _paused());
    }

    function test_WhenTheDeadlineHasPassed_ItRevertsWithDeadlinePassed() external {
        bytes16 job = _requested();
        uint256 deadline = _now() + WORK;
        _wait(WORK + 1);
        _refuses(node, _call(job), _deadlinePassed(job, deadline));
    }

    function test_WhenTheCallerIsNoActiveNode_ItRevertsWithNodeNotActive() external {
        bytes16 job = _requested();
        _refuses(stranger, _call(job), _notActive(stranger));
        vm.prank(node);
        registry.deactivate(node);
        _refuses(node, _call(job), _notActive(node));
    }

    function test_WhenTheCallerHasFewerTokensThanTheFee_ItRevertsWithERC20InsufficientBalance() external {
        bytes16 job = _requested();
        uint256 rest = token.balanceOf(node) - FEE + 1;
        vm.prank(node);
        token.transfer(stranger, rest);
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, node, FEE - 1, FEE);
        _refuses(node, _call(job), refusal);
    }

    function test_WhenAnActiveNodeTakesIt_GivenTheLastSecond_ItLocksADepositAsHighAsTheFee() external {
        bytes16 job = _requested();
        uint256 deadline = _now() + WORK;
        _wait(WORK);
        _take(job);
        IEmethCore.Job memory expected = _freshJob(deadline);
        (expected.state, expected.node) = (IEmethCore.State.PROCESSING, node);
        _isJob(job, expected);
        _has(node, FUNDS - MIN_STAKE - FEE);
        _has(address(core), LOCKED + FEE);
        _booked(node, 0, 0);
    }

    function test_WhenAnActiveNodeTakesIt_GivenCreditForAllOfIt_ItMovesNoToken() external {
        vm.prank(stranger);
        core.deposit(node, FEE + 5);
        bytes16 job = _requested();
        _emits();
        emit IEmethCore.CreditUsed(node, FEE);
        vm.prank(node);
        core.process(job);
        _booked(node, 5, 0);
        _has(node, FUNDS - MIN_STAKE);
    }

    function test_WhenAnActiveNodeTakesIt_GivenThatItDeclinedTheJobBefore_ItTakesTheJobAgain() external {
        bytes16 job = _processing();
        vm.prank(node);
        core.decline(job);
        _take(job);
        _inState(job, IEmethCore.State.PROCESSING);
        // Everything returned for declining, and the penalty out of its tokens.
        _booked(node, 0, DECLINE_PENALTY);
        _has(node, FUNDS - MIN_STAKE - FEE - DECLINE_PENALTY);
    }

    function _take(bytes16 job) private {
        _emits();
        emit IEmethCore.JobProcessing(job, node, FEE);
        vm.prank(node);
        core.process(job);
    }

    function _call(bytes16 job) private view returns (bytes memory) {
        return abi.encodeCall(core.process, (job));
    }

    function _notActive(address account) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_NodeNotActive.selector, account);
    }
}
