// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {EscrowFixture} from "./EscrowFixture.sol";
import {NaiveTree} from "./NaiveTree.sol";

contract EmethCore_payWorkers_Tree is EscrowFixture {
    function test_WhenTheJobIsNotVerified_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.VERIFIED, stranger, _usual);
    }

    function test_WhenThereAreMoreThanSixteenPayees_ItRevertsWithTooManyPayees() external {
        IEmethCore.Payee[] memory payees = _list(17, 1e18);
        bytes16 job = _verifiedWith(17_000, NaiveTree.rootOf(payees));
        _refuses(stranger, _pay(job, payees), abi.encodeWithSelector(IEmethCore.EmethCore_TooManyPayees.selector, 17));
    }

    function test_WhenTheListIsNotTheOneCommittedTo_ItRevertsWithWrongResult() external {
        bytes16 job = _verified();
        IEmethCore.Payee[] memory payees = _payees();
        (payees[0].amount, payees[1].amount) = (SECOND_PAY, FIRST_PAY);
        bytes20 meant = bytes20(keccak256(abi.encode(RESULT, NaiveTree.rootOf(payees))));
        _refuses(stranger, _pay(job, payees), _wrongResult(job, meant));
    }

    function test_WhenTheListPromisesMoreThanThePayout_ItRevertsWithWrongPayout() external {
        IEmethCore.Payee[] memory payees = _list(2, 300e18);
        payees[1].amount += 1;
        bytes16 job = _verifiedWith(FUEL_USED, NaiveTree.rootOf(payees));
        _refuses(stranger, _pay(job, payees), _wrongPayout(job, PAYOUT + 1, PAYOUT));
    }

    function test_WhenTheListPromisesLessThanThePayout_ItRevertsWithWrongPayout() external {
        IEmethCore.Payee[] memory payees = _list(2, 300e18);
        payees[1].amount -= 1;
        bytes16 job = _verifiedWith(FUEL_USED, NaiveTree.rootOf(payees));
        _refuses(stranger, _pay(job, payees), _wrongPayout(job, PAYOUT - 1, PAYOUT));
    }

    function test_WhenOnePayeeHasClaimedAlready_ItRevertsWithWrongPayout() external {
        // The list promises twice the payout: the rest after the first claim is not the sum, and the bitmap
        // would refuse it too.
        IEmethCore.Payee[] memory payees = _list(1, 300e18);
        bytes32 root = NaiveTree.rootOf(payees);
        bytes16 job = _verifiedWith(FUEL_USED, root);
        bytes memory claim = abi.encodeCall(
            core.claimPay, (job, RESULT, root, 0, payees[0].worker, payees[0].amount, new bytes32[](0))
        );
        _by(stranger, claim);
        _equal(core.jobs(job).payout, 300e18, "what is left");
        _refuses(stranger, _pay(job, payees), _wrongPayout(job, 300e18, 300e18));
    }

    function test_WhenTheListWasPaidAlready_ItRevertsWithWrongPayout() external {
        bytes16 job = _verified();
        _by(stranger, _usual(job));
        _refuses(stranger, _usual(job), _wrongPayout(job, PAYOUT, 0));
    }

    function test_WhenTheListIsEmpty_ItRevertsWithWrongPayout() external {
        bytes16 job = _verifiedWith(0, bytes32(0));
        _refuses(stranger, _pay(job, _list(0, 0)), _wrongPayout(job, 0, 0));
    }

    function test_WhenItIsTheList_GivenTwoPayees_ItCreditsEachAndLeavesNothing() external {
        bytes16 job = _verified();
        _emits();
        emit IEmethCore.WorkerPaid(job, worker1, 0, FIRST_PAY);
        _emits();
        emit IEmethCore.WorkerPaid(job, worker2, 1, SECOND_PAY);
        _by(stranger, _usual(job));
        _booked(worker1, FIRST_PAY, 0);
        _booked(worker2, SECOND_PAY, 0);
        _equal(core.jobs(job).payout, 0, "what is left");
        _inState(job, IEmethCore.State.VERIFIED);
        _has(address(core), LOCKED + FEE);
    }

    function test_WhenItIsTheList_GivenOnePayee_ItCreditsIt() external {
        IEmethCore.Payee[] memory payees = _list(1, PAYOUT);
        bytes16 job = _verifiedWith(FUEL_USED, NaiveTree.rootOf(payees));
        _by(stranger, _pay(job, payees));
        _booked(payees[0].worker, PAYOUT, 0);
    }

    function test_WhenItIsTheList_GivenSixteenPayees_ItCreditsEach() external {
        IEmethCore.Payee[] memory payees = _list(16, 1e18);
        bytes16 job = _verifiedWith(16_000, NaiveTree.rootOf(payees));
        _by(stranger, _pay(job, payees));
        for (uint256 i = 0; i < 16; ++i) _booked(payees[i].worker, 1e18, 0);
        _equal(core.jobs(job).payout, 0, "what is left");
    }

    function test_WhenItIsTheList_GivenOneWorkerTwice_ItCreditsBothAmounts() external {
        IEmethCore.Payee[] memory payees = _list(2, 300e18);
        payees[1].worker = payees[0].worker;
        bytes16 job = _verifiedWith(FUEL_USED, NaiveTree.rootOf(payees));
        _by(stranger, _pay(job, payees));
        _booked(payees[0].worker, PAYOUT, 0);
    }

    function _usual(bytes16 job) private view returns (bytes memory) {
        return _pay(job, _payees());
    }
}

contract EmethCore_claimPay_Tree is EscrowFixture {
    function test_WhenTheJobIsNotVerified_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.VERIFIED, worker1, _first);
    }

    function test_WhenRootOrResultIsNotTheOneCommittedTo_ItRevertsWithWrongResult() external {
        bytes16 job = _verified();
        bytes32 other = keccak256("other");
        bytes32[] memory proof = new bytes32[](0);
        bytes memory data = abi.encodeCall(core.claimPay, (job, RESULT, other, 0, worker1, FIRST_PAY, proof));
        _refuses(worker1, data, _wrongResult(job, bytes20(keccak256(abi.encode(RESULT, other)))));
        data = abi.encodeCall(core.claimPay, (job, other, _root(), 0, worker1, FIRST_PAY, proof));
        _refuses(worker1, data, _wrongResult(job, bytes20(keccak256(abi.encode(other, _root())))));
    }

    function test_WhenTheIndexWasPaidAlready_ItRevertsWithAlreadyClaimed() external {
        bytes16 job = _verified();
        _by(worker1, _claim(job, 0));
        bytes memory refusal = abi.encodeWithSelector(IEmethCore.EmethCore_AlreadyClaimed.selector, job, 0);
        _refuses(worker1, _claim(job, 0), refusal);
        _booked(worker1, FIRST_PAY, 0);
    }

    function test_WhenTheProofIsOfSomethingElse_ItRevertsWithWrongProof() external {
        bytes16 job = _verified();
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = _leaf(1, worker2, SECOND_PAY);
        bytes memory refusal = abi.encodeWithSelector(IEmethCore.EmethCore_WrongProof.selector, job, 0);
        bytes memory more = abi.encodeCall(core.claimPay, (job, RESULT, _root(), 0, worker1, FIRST_PAY + 1, proof));
        _refuses(worker1, more, refusal);
        bytes memory thief = abi.encodeCall(core.claimPay, (job, RESULT, _root(), 0, stranger, FIRST_PAY, proof));
        _refuses(stranger, thief, refusal);
        bytes memory elsewhere = abi.encodeCall(core.claimPay, (job, RESULT, _root(), 2, worker1, FIRST_PAY, proof));
        _refuses(worker1, elsewhere, abi.encodeWithSelector(IEmethCore.EmethCore_WrongProof.selector, job, 2));
    }

    function test_WhenTheAmountIsZero_ItRevertsWithWrongPayout() external {
        bytes32 root = _leaf(0, worker1, 0);
        bytes16 job = _verifiedWith(FUEL_USED, root);
        bytes memory data = abi.encodeCall(core.claimPay, (job, RESULT, root, 0, worker1, 0, new bytes32[](0)));
        _refuses(worker1, data, _wrongPayout(job, 0, PAYOUT));
    }

    function test_WhenTheTreePromisesMoreThanIsLeft_ItRevertsWithWrongPayout() external {
        bytes32 root = _leaf(0, worker1, PAYOUT + 1);
        bytes16 job = _verifiedWith(FUEL_USED, root);
        bytes memory data = abi.encodeCall(core.claimPay, (job, RESULT, root, 0, worker1, PAYOUT + 1, new bytes32[](0)));
        _refuses(worker1, data, _wrongPayout(job, PAYOUT + 1, PAYOUT));
    }

    function test_WhenItIsInTheTree_GivenThatAnybodyCalls_ItCreditsTheWorkerAndLeavesTheRest() external {
        bytes16 job = _verified();
        _emits();
        emit IEmethCore.WorkerPaid(job, worker2, 1, SECOND_PAY);
        _by(stranger, _claim(job, 1));
        _booked(worker2, SECOND_PAY, 0);
        _booked(stranger, 0, 0);
        _equal(core.jobs(job).payout, FIRST_PAY, "what is left");
        _has(address(core), LOCKED + FEE);
    }

    function test_WhenItIsInTheTree_GivenThatTheOtherWasPaid_ItCreditsTheWorkerAndLeavesNothing() external {
        bytes16 job = _verified();
        _by(worker2, _claim(job, 1));
        _by(worker1, _claim(job, 0));
        _booked(worker1, FIRST_PAY, 0);
        _booked(worker2, SECOND_PAY, 0);
        _equal(core.jobs(job).payout, 0, "what is left");
    }

    function test_WhenItIsInTheTree_GivenAnIndexOfASecondWord_ItCreditsTheWorker() external {
        // Bit 0 of the second word is not bit 0 of the first.
        (bytes32 a, bytes32 b) = (_leaf(0, worker1, FIRST_PAY), _leaf(256, worker2, SECOND_PAY));
        bytes32 root = a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
        bytes16 job = _verifiedWith(FUEL_USED, root);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = b;
        _by(worker1, abi.encodeCall(core.claimPay, (job, RESULT, root, 0, worker1, FIRST_PAY, proof)));
        proof[0] = a;
        bytes memory second = abi.encodeCall(core.claimPay, (job, RESULT, root, 256, worker2, SECOND_PAY, proof));
        _by(worker2, second);
        _booked(worker2, SECOND_PAY, 0);
        _refuses(worker2, second, abi.encodeWithSelector(IEmethCore.EmethCore_AlreadyClaimed.selector, job, 256));
    }

    function _first(bytes16 job) private view returns (bytes memory) {
        return _claim(job, 0);
    }
}

contract EmethCore_sweepUnclaimed_Tree is EscrowFixture {
    function test_WhenTheJobIsNotVerified_ItRevertsWithWrongState() external {
        _refusedInAllBut(IEmethCore.State.VERIFIED, node, _call);
    }

    function test_WhenTheCallerIsNotItsNode_ItRevertsWithNotNode() external {
        bytes16 job = _verified();
        _wait(CLAIM_WINDOW + 1);
        _refuses(requester, _call(job), _notNode(job, requester));
    }

    function test_WhenItIsTheLastSecondToClaim_ItRevertsWithTooEarly() external {
        bytes16 job = _verified();
        uint256 end = _now() + CLAIM_WINDOW;
        _wait(CLAIM_WINDOW);
        _refuses(node, _call(job), _tooEarly(job, end));
    }

    function test_WhenTheTimeToClaimIsOver_GivenThatNobodyClaimed_ItCreditsTheWholePayoutToTheNode() external {
        bytes16 job = _verified();
        _sweeps(job, PAYOUT);
    }

    function test_WhenTheTimeToClaimIsOver_GivenThatOneClaimed_ItCreditsTheRestToTheNodeAndNoClaimFollows() external {
        bytes16 job = _verified();
        _by(worker1, _claim(job, 0));
        _sweeps(job, SECOND_PAY);
        _refuses(worker2, _claim(job, 1), _wrongPayout(job, SECOND_PAY, 0));
        _sweepsNothing(job);
    }

    function _sweeps(bytes16 job, uint256 amount) private {
        _wait(CLAIM_WINDOW + 1);
        _emits();
        emit IEmethCore.PaySwept(job, node, amount);
        _by(node, _call(job));
        _booked(node, FEE + amount, BURNT);
        _equal(core.jobs(job).payout, 0, "what is left");
    }

    function _sweepsNothing(bytes16 job) private {
        uint256 before = core.credit(node);
        _by(node, _call(job));
        _booked(node, before, BURNT);
    }

    function _call(bytes16 job) private view returns (bytes memory) {
        return abi.encodeCall(core.sweepUnclaimed, (job));
    }
}
