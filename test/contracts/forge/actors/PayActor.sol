// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {ACCOUNTS, RESULT, SOMEBODY} from "../Crowd.sol";
import {Ledger, Split} from "../Ledger.sol";
import {Expected, Outcome, Outcomes} from "../Outcome.sol";
import {Rules} from "../Rules.sol";
import {Actor} from "./Actor.sol";

/// @notice Pays the workers of verified jobs, and tries claims that must be refused.
contract PayActor is Actor {
    constructor(Ledger ledger) Actor(ledger) {}

    /// @notice Pays the whole list at once.
    function payWorkers(uint256 job) external {
        if (_hasNoJobs()) return;
        bytes16 jobId = _id(job);
        IEmethCore.Job memory before = _core.jobs(jobId);
        Split memory split = _ledger.splitOf(jobId);
        IEmethCore.Payee[] memory payees = new IEmethCore.Payee[](2);
        payees[0] = IEmethCore.Payee(_node(0), split.first);
        payees[1] = IEmethCore.Payee(_node(1), split.second);
        uint256 sum = uint256(split.first) + split.second;
        bool isOpen = before.state == IEmethCore.State.VERIFIED && split.claimed == 0 && sum > 0 && sum == before.payout;
        Outcome memory outcome = isOpen ? Rules.pay(before, _node(0), before.payout) : Outcomes.none();
        // Part of what the first worker got there is the second worker's.
        if (isOpen) outcome.spends(_node(0), split.second);
        if (isOpen) outcome.gets(_node(1), split.second);
        bytes memory data = abi.encodeCall(_core.payWorkers, (jobId, RESULT, payees));
        if (!_ledger.call(_accounts[SOMEBODY], jobId, data, _when(isOpen), outcome)) return;
        _ledger.notePaid(jobId, 3, sum, before);
    }

    /// @notice Claims one line by its proof.
    function claimPay(uint256 job, uint256 index) external {
        if (_hasNoJobs()) return;
        bytes16 jobId = _id(job);
        if (index / 2 % 4 == 0) _claimForged(jobId, index);
        index %= 2;
        IEmethCore.Job memory before = _core.jobs(jobId);
        (bytes memory data, uint96 amount, bool isOpen) = _claimOf(jobId, index, before);
        Outcome memory outcome = isOpen ? Rules.pay(before, _node(index), amount) : Outcomes.none();
        if (!_ledger.call(_accounts[SOMEBODY], jobId, data, _when(isOpen), outcome)) return;
        _ledger.notePaid(jobId, uint8(1 << index), amount, before);
    }

    /// @notice A worker claims and withdraws all of its credit, in one transaction: both happen or neither.
    function collect(uint256 job, uint256 index, uint256 to) external {
        if (!_hasNoJobs()) _collect(_id(job), index % 2, _accounts[to % ACCOUNTS]);
    }

    function _collect(bytes16 jobId, uint256 index, address target) private {
        IEmethCore.Job memory before = _core.jobs(jobId);
        (bytes memory claim, uint96 amount, bool isOpen) = _claimOf(jobId, index, before);
        uint256 all = _core.credit(_node(index)) + amount;
        Outcome memory outcome = isOpen ? Rules.pay(before, _node(index), amount) : Outcomes.none();
        if (isOpen) outcome.spends(_node(index), all);
        if (isOpen) outcome.receives(target, all);
        bytes memory data = _both(claim, abi.encodeCall(_core.withdraw, (target, all)));
        Expected expected = isOpen ? _behaviour.ofTransfer() : Expected.FAILURE;
        if (!_ledger.call(_node(index), jobId, data, expected, outcome)) return;
        _ledger.notePaid(jobId, uint8(1 << index), amount, before);
    }

    function _both(bytes memory first, bytes memory second) private view returns (bytes memory) {
        bytes[] memory calls = new bytes[](2);
        (calls[0], calls[1]) = (first, second);
        return abi.encodeCall(_core.multicall, (calls));
    }

    /// @dev All that is left, by a tree of the caller's own; or a line of the tree under an index that it has
    /// not.
    function _claimForged(bytes16 jobId, uint256 index) private {
        Split memory split = _ledger.splitOf(jobId);
        address by = _node(index % 2);
        uint96 left = _core.jobs(jobId).payout;
        bytes memory data = abi.encodeCall(
            _core.claimPay, (jobId, RESULT, Rules.leaf(index, by, left), index, by, left, new bytes32[](0))
        );
        _ledger.call(by, jobId, data, Expected.FAILURE, Outcomes.none());
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = Rules.leaf(1, _node(1), split.second);
        data = abi.encodeCall(_core.claimPay, (jobId, RESULT, split.root, 2 + index % 300, _node(0), split.first, proof));
        _ledger.call(by, jobId, data, Expected.FAILURE, Outcomes.none());
    }

    function _claimOf(bytes16 jobId, uint256 index, IEmethCore.Job memory job)
        private
        view
        returns (bytes memory data, uint96 amount, bool isOpen)
    {
        Split memory split = _ledger.splitOf(jobId);
        amount = index == 0 ? split.first : split.second;
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = index == 0 ? Rules.leaf(1, _node(1), split.second) : Rules.leaf(0, _node(0), split.first);
        isOpen = job.state == IEmethCore.State.VERIFIED && split.claimed >> index & 1 == 0 && amount > 0 && amount <= job.payout;
        data = abi.encodeCall(_core.claimPay, (jobId, RESULT, split.root, index, _node(index), amount, proof));
    }
}
