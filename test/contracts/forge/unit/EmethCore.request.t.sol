// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

contract EmethCore_request_Tree is EscrowFixture {
    function test_WhenTheContractIsPaused_ItRevertsWithPaused() external {
        _pause();
        _refuses(requester, _call(FEE, FUEL, _now() + WORK), _paused());
    }

    function test_WhenTheFeeIsBelowTheLeast_ItRevertsWithFeeTooLow() external {
        bytes memory refusal = abi.encodeWithSelector(IEmethCore.EmethCore_FeeTooLow.selector, 1e18 - 1, 1e18);
        _refuses(requester, _call(1e18 - 1, FUEL, _now() + WORK), refusal);
    }

    function test_WhenNoFuelIsAskedFor_ItRevertsWithNoFuel() external {
        _refuses(requester, _call(FEE, 0, _now() + WORK), abi.encodeWithSelector(IEmethCore.EmethCore_NoFuel.selector));
    }

    function test_WhenTheDeadlineLeavesLessThanTheLeastWork_ItRevertsWithDeadlineTooNear() external {
        bytes memory refusal =
            abi.encodeWithSelector(IEmethCore.EmethCore_DeadlineTooNear.selector, _now() + 59, _now() + 60);
        _refuses(requester, _call(FEE, FUEL, _now() + 59), refusal);
    }

    function test_WhenTheDeadlineIsMoreThanAYearAway_ItRevertsWithDeadlineTooFar() external {
        uint256 latest = _now() + 31_536_000;
        bytes memory refusal = abi.encodeWithSelector(IEmethCore.EmethCore_DeadlineTooFar.selector, latest + 1, latest);
        _refuses(requester, _call(FEE, FUEL, latest + 1), refusal);
    }

    function test_WhenTheSameJobWasRequestedBefore_GivenItStillWaits_ItRevertsWithJobExists() external {
        bytes16 job = _requested();
        _refuses(requester, _call(FEE, FUEL, _now() + WORK), _exists(job));
    }

    function test_WhenTheSameJobWasRequestedBefore_GivenItHasEnded_ItRevertsWithJobExists() external {
        bytes16 job = _requested();
        vm.prank(requester);
        core.cancel(job);
        _refuses(requester, _call(FEE, FUEL, _now() + WORK), _exists(job));
    }

    function test_WhenTheCallerHasFewerTokensThanThat_ItRevertsWithERC20InsufficientBalance() external {
        vm.prank(requester);
        token.transfer(stranger, FUNDS - LOCKED + 1);
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, requester, LOCKED - 1, LOCKED);
        _refuses(requester, _call(FEE, FUEL, _now() + WORK), refusal);
    }

    function test_WhenLessWasApproved_ItRevertsWithERC20InsufficientAllowance() external {
        vm.prank(requester);
        token.approve(address(core), LOCKED - 1);
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, core, LOCKED - 1, LOCKED);
        _refuses(requester, _call(FEE, FUEL, _now() + WORK), refusal);
    }

    function test_WhenItIsAcceptable_GivenNoCredit_ItTakesFeeVerifierFeeAndBurnFromTheTokens() external {
        _requested();
        _has(requester, FUNDS - LOCKED);
        _has(address(core), LOCKED);
        _booked(requester, 0, 0);
    }

    function test_WhenItIsAcceptable_GivenCreditForAPart_ItTakesTheCreditFirstAndTheRestFromTheTokens() external {
        _deposit(100e18);
        bytes16 job = _idOf(requester, 0, FEE, FUEL, _now() + WORK);
        _emits();
        emit IEmethCore.CreditUsed(requester, 100e18);
        _equal(_request(0), job, "job id");
        _booked(requester, 0, 0);
        _has(requester, FUNDS - LOCKED);
        _has(address(core), LOCKED);
    }

    function test_WhenItIsAcceptable_GivenCreditForAllOfIt_ItMovesNoToken() external {
        _deposit(LOCKED + 1);
        vm.prank(requester);
        token.approve(address(core), 0);
        _emits();
        emit IEmethCore.CreditUsed(requester, LOCKED);
        _requested();
        _booked(requester, 1, 0);
        _has(address(core), LOCKED + 1);
    }

    function test_WhenItIsAcceptable_GivenTheLeastFeeOneTokenOfFuelAndTheNearestDeadline_ItBooksTheJob() external {
        vm.prank(requester);
        bytes16 job = core.request(DATASET, PARAMS, 1e18, 1, uint40(_now()) + 60, 0);
        IEmethCore.Job memory expected = _freshJob(_now() + 60);
        (expected.fee, expected.fuelLimit) = (1e18, 1);
        _isJob(job, expected);
        _has(address(core), 1.1e18);
    }

    function test_WhenItIsAcceptable_GivenTheFurthestDeadline_ItBooksTheJob() external {
        uint256 latest = _now() + 31_536_000;
        vm.prank(requester);
        bytes16 job = core.request(DATASET, PARAMS, FEE, FUEL, uint40(latest), 0);
        _isJob(job, _freshJob(latest));
    }

    function test_WhenItIsAcceptable_GivenAnAmountThatDoesNotDivide_ItRoundsBothPartsDown() external {
        bytes16 job = _idOf(requester, 0, 1e18 + 19, FUEL, _now() + WORK);
        _emits();
        // A twentieth of 1e18 + 19 is 0.05e18 and 0.95 wei.
        emit IEmethCore.JobRequested(
            job, requester, 1e18 + 19, 0.05e18, 0.05e18, FUEL, uint40(_now()) + WORK, 0, DATASET, PARAMS
        );
        vm.prank(requester);
        core.request(DATASET, PARAMS, 1e18 + 19, FUEL, uint40(_now()) + WORK, 0);
        _has(address(core), 1.1e18 + 19);
    }

    function test_WhenItIsAcceptable_ItTellsTheWholeSpecification() external {
        bytes16 job = _idOf(requester, 0, FEE, FUEL, _now() + WORK);
        _emits();
        emit IEmethCore.JobRequested(
            job, requester, FEE, uint96(VERIFIER_FEE), uint96(BURN_FEE), FUEL, uint40(_now()) + WORK, 0, DATASET, PARAMS
        );
        _equal(_request(0), job, "job id");
    }

    function test_WhenItIsAcceptable_ItBooksTheJobUnderTheTermsOfTheDay() external {
        bytes16 before = _request(0);
        IEmethCore.Terms memory next = _firstTerms();
        (next.verifierBps, next.burnBps, next.minFee) = (100, 200, FEE);
        core.setTerms(next);
        bytes16 later = _request(1);
        IEmethCore.Job memory expected = _freshJob(_now() + WORK);
        _isJob(before, expected);
        expected.termsId = 1;
        _isJob(later, expected);
        _has(address(core), LOCKED + 1030e18);
    }

    function _deposit(uint256 amount) private {
        vm.prank(requester);
        core.deposit(requester, amount);
    }

    function _call(uint96 fee, uint40 fuel, uint256 deadline) private view returns (bytes memory) {
        return abi.encodeCall(core.request, (DATASET, PARAMS, fee, fuel, uint40(deadline), bytes32(0)));
    }

    function _exists(bytes16 job) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_JobExists.selector, job);
    }
}
