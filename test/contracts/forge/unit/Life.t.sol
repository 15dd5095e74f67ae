// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

/// @notice Jobs of any size under any terms, to each of their ends: every account gets exactly what the rules
/// say, and nothing is left.
contract LifeTest is EscrowFixture {
    enum End {
        CANCEL,
        EXPIRE,
        DECLINE_AND_CANCEL,
        DECLINE_LATE,
        TIMEOUT,
        VERIFY,
        REJECT,
        ACCEPT,
        FINALIZE,
        DISPUTE_AND_VERIFY,
        DISPUTE_AND_REJECT,
        UNWIND
    }

    /// @dev One job and the way it ends.
    struct Plan {
        IEmethCore.Terms terms;
        uint96 fee;
        uint40 fuel;
        uint40 used;
        uint96 payout;
        uint96 first;
        End end;
        bytes32 root;
    }

    /// @dev The final amounts of the accounts, besides the tokens that they kept.
    struct Outcome {
        uint256 requester;
        uint256 node;
        uint256 verifier;
        uint256 challenger;
        uint256 caller;
        uint256 nodeForfeits;
        uint256 challengerForfeits;
        bool isPaid;
    }

    function testFuzz_whatGoesInComesOutOnce(uint96 fee, uint40 fuel, uint40 used, uint16[5] calldata rates, uint8 end, uint96 first)
        external
    {
        Plan memory plan = _planned(fee, fuel, used, rates, end, first);
        core.setTerms(plan.terms);
        bytes16 job = _live(plan);
        Outcome memory expected = _foreseen(plan);

        _booked(requester, expected.requester, 0);
        _booked(node, expected.node, expected.nodeForfeits);
        _booked(verifier, expected.verifier, 0);
        _booked(challenger, expected.challenger, expected.challengerForfeits);
        _booked(stranger, expected.caller, 0);
        uint256 owed = expected.requester + expected.node + expected.verifier + expected.challenger + expected.caller
            + expected.nodeForfeits + expected.challengerForfeits + (expected.isPaid ? plan.payout : 0);
        _has(address(core), owed);

        if (expected.isPaid) _payOut(job, plan);
        _nothingMore(job, plan);
        _empty();
    }

    function _planned(uint96 fee, uint40 fuel, uint40 used, uint16[5] calldata rates, uint8 end, uint96 first)
        private
        returns (Plan memory plan)
    {
        plan.terms = _firstTerms();
        plan.terms.minFee = 1;
        plan.terms.penaltyBps = 100 + rates[0] % 4901;
        plan.terms.verifierBps = rates[1] % (plan.terms.penaltyBps / 4 + 1);
        plan.terms.declineBps = rates[2] % (plan.terms.penaltyBps + 1);
        plan.terms.tipBps = rates[3] % 1001;
        plan.terms.burnBps = rates[4] % 2001;
        plan.fee = 1 + fee % 5e23;
        plan.fuel = fuel == 0 ? 1 : fuel;
        plan.used = uint40(used % (uint256(plan.fuel) + 1));
        plan.payout = uint96(uint256(plan.fee) * plan.used / plan.fuel);
        plan.first = uint96(first % (uint256(plan.payout) + 1));
        plan.end = End(end % 12);
        (bytes32 a, bytes32 b) = (_leaf(0, worker1, plan.first), _leaf(1, worker2, plan.payout - plan.first));
        plan.root = a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    // ---------------------------------------------------------------------------------------------------------- acts

    function _live(Plan memory plan) private returns (bytes16 job) {
        uint40 deadline = uint40(_now()) + WORK;
        vm.prank(requester);
        job = core.request(DATASET, PARAMS, plan.fee, plan.fuel, deadline, 0);
        if (plan.end == End.EXPIRE) {
            _wait(WORK + 1);
            vm.prank(stranger);
            core.expire(job);
        }
        if (plan.end == End.CANCEL) return _cancel(job);
        if (plan.end == End.EXPIRE) return job;
        _process(job);
        if (plan.end <= End.TIMEOUT) return _giveUp(job, plan.end);
        vm.prank(node);
        core.submit(job, RESULT, plan.used, plan.root, "r");
        _judge(job, plan);
    }

    function _cancel(bytes16 job) private returns (bytes16) {
        vm.prank(requester);
        core.cancel(job);
        return job;
    }

    function _giveUp(bytes16 job, End end) private returns (bytes16) {
        if (end == End.DECLINE_LATE) _wait(WORK);
        if (end == End.TIMEOUT) _wait(WORK + 1);
        vm.prank(end == End.TIMEOUT ? stranger : node);
        if (end == End.TIMEOUT) core.timeout(job);
        else core.decline(job);
        return end == End.DECLINE_AND_CANCEL ? _cancel(job) : job;
    }

    function _judge(bytes16 job, Plan memory plan) private {
        if (plan.end >= End.DISPUTE_AND_VERIFY) _challenge(job);
        if (plan.end == End.FINALIZE || plan.end == End.UNWIND) _wait(VERDICT_WINDOW + 1);
        bytes20 commitment = core.commit(RESULT, plan.root);
        address[4] memory callers = [requester, stranger, stranger, verifier];
        vm.prank(callers[plan.end == End.ACCEPT ? 0 : plan.end == End.FINALIZE ? 1 : plan.end == End.UNWIND ? 2 : 3]);
        if (plan.end == End.ACCEPT) core.accept(job);
        else if (plan.end == End.FINALIZE) core.finalize(job);
        else if (plan.end == End.UNWIND) core.unwind(job);
        else if (plan.end == End.REJECT || plan.end == End.DISPUTE_AND_REJECT) core.rejectResult(job, commitment, REASON, "");
        else core.verify(job, commitment, "");
    }

    // ----------------------------------------------------------------------------------------------------- the rules

    function _foreseen(Plan memory plan) private pure returns (Outcome memory to) {
        uint256 penalty = _part(plan.fee, plan.terms.penaltyBps);
        uint256 verifierFee = _part(plan.fee, plan.terms.verifierBps);
        uint256 locked = plan.fee + verifierFee + _part(plan.fee, plan.terms.burnBps);
        to.requester = locked;
        if (plan.end <= End.EXPIRE) return to;
        to.node = plan.fee;
        if (plan.end == End.DECLINE_AND_CANCEL || plan.end == End.DECLINE_LATE) {
            to.nodeForfeits = plan.end == End.DECLINE_LATE ? penalty : _part(plan.fee, plan.terms.declineBps);
        } else if (plan.end == End.TIMEOUT) {
            to.caller = _part(penalty, plan.terms.tipBps);
            to.nodeForfeits = penalty - to.caller;
        } else if (plan.end == End.REJECT || plan.end == End.DISPUTE_AND_REJECT) {
            uint256 reward = plan.end == End.REJECT ? 0 : penalty / 4;
            (to.verifier, to.challenger) = (verifierFee, plan.end == End.REJECT ? 0 : penalty + reward);
            to.nodeForfeits = penalty - verifierFee - reward;
            to.node -= reward;
        } else if (plan.end == End.UNWIND) {
            to.challenger = penalty;
        } else {
            return _foreseenPaid(plan, to, penalty, verifierFee);
        }
        to.node -= to.nodeForfeits + to.caller + to.verifier;
    }

    function _foreseenPaid(Plan memory plan, Outcome memory to, uint256 penalty, uint256 verifierFee)
        private
        pure
        returns (Outcome memory)
    {
        to.isPaid = true;
        to.verifier = plan.end == End.VERIFY || plan.end == End.DISPUTE_AND_VERIFY ? verifierFee : 0;
        to.nodeForfeits = _part(plan.payout, plan.terms.burnBps);
        to.requester -= plan.payout + to.verifier + to.nodeForfeits;
        if (plan.end == End.DISPUTE_AND_VERIFY) {
            to.node += penalty / 2;
            to.challengerForfeits = penalty - penalty / 2;
        }
        return to;
    }

    function _part(uint256 amount, uint256 bps) private pure returns (uint256) {
        return amount * bps / 10_000;
    }

    // --------------------------------------------------------------------------------------------------- afterwards

    function _payOut(bytes16 job, Plan memory plan) private {
        if (plan.payout == 0) return;
        core.payWorkers(job, RESULT, _split(plan));
        _booked(worker1, plan.first, 0);
        _booked(worker2, plan.payout - plan.first, 0);
    }

    function _split(Plan memory plan) private view returns (IEmethCore.Payee[] memory payees) {
        payees = new IEmethCore.Payee[](2);
        payees[0] = IEmethCore.Payee(worker1, plan.first);
        payees[1] = IEmethCore.Payee(worker2, plan.payout - plan.first);
    }

    /// @dev No call by a party gets anything out of the job again, however long it waits.
    function _nothingMore(bytes16 job, Plan memory plan) private {
        _wait(365 days);
        bytes4[8] memory selectors = [
            core.cancel.selector,
            core.expire.selector,
            core.decline.selector,
            core.timeout.selector,
            core.accept.selector,
            core.finalize.selector,
            core.challenge.selector,
            core.unwind.selector
        ];
        address[2] memory callers = [requester, node];
        for (uint256 i = 0; i < 16; ++i) _isRefused(callers[i / 8], abi.encodeWithSelector(selectors[i % 8], job));
        bytes20 commitment = core.commit(RESULT, plan.root);
        _isRefused(verifier, abi.encodeCall(core.verify, (job, commitment, "")));
        _isRefused(verifier, abi.encodeCall(core.rejectResult, (job, commitment, REASON, "")));
        _isRefused(worker1, abi.encodeCall(core.payWorkers, (job, RESULT, _split(plan))));
        uint256 before = core.credit(node);
        vm.prank(node);
        (bool done,) = address(core).call(abi.encodeCall(core.sweepUnclaimed, (job)));
        require(!done || core.credit(node) == before, "swept what was paid");
    }

    function _isRefused(address caller, bytes memory data) private {
        vm.prank(caller);
        (bool done,) = address(core).call(data);
        require(!done, "a call went through after the end");
    }

    function _empty() private {
        address[7] memory accounts = [requester, node, verifier, challenger, stranger, worker1, worker2];
        for (uint256 i = 0; i < 7; ++i) {
            uint256 owed = core.credit(accounts[i]);
            vm.prank(accounts[i]);
            core.withdraw(accounts[i], owed);
            core.burn(accounts[i]);
        }
        _has(address(core), 0);
    }
}
