// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {ACCOUNTS, NODES, RESULT} from "../Crowd.sol";
import {Ledger, Split} from "../Ledger.sol";
import {Expected, Outcome, Outcomes} from "../Outcome.sol";
import {Rules} from "../Rules.sol";
import {Actor} from "./Actor.sol";

/// @notice Takes jobs, submits results, and tries every way out of a job, whether it is open or not.
contract WorkActor is Actor {
    constructor(Ledger ledger) Actor(ledger) {}

    function process(uint256 job, uint256 node) external {
        if (_hasNoJobs()) return;
        address by = _node(node % NODES);
        IEmethCore.Job memory before = _core.jobs(_id(job));
        bool isOpen = before.state == IEmethCore.State.REQUESTED && _now() <= before.deadline && !_core.paused()
            && _core.isActive(by);
        _callPlain(_id(job), _core.process.selector, by, isOpen ? _behaviour.ofPull() : Expected.FAILURE);
    }

    function submit(uint256 job, uint40 fuelUsed, uint96 first, uint8 kind) external {
        if (_hasNoJobs()) return;
        bytes16 jobId = _id(job);
        IEmethCore.Job memory before = _core.jobs(jobId);
        // One time in eight the node claims more fuel than was bought.
        uint256 most = uint256(before.fuelLimit) * (kind % 8 == 0 ? 2 : 1);
        fuelUsed = uint40(_bound(fuelUsed, kind % 8 == 0 ? before.fuelLimit : 0, most));
        Split memory split = _split(before, fuelUsed, first, kind % 4);
        bool isOpen = before.state == IEmethCore.State.PROCESSING && _now() <= before.deadline && fuelUsed <= before.fuelLimit;
        bytes memory data = abi.encodeCall(_core.submit, (jobId, RESULT, fuelUsed, split.root, "r"));
        Outcome memory outcome =
            isOpen ? Rules.submit(before, _ledger.rulesOf(jobId), fuelUsed, split.root) : Outcomes.none();
        if (!_ledger.call(_somebody(before.node), jobId, data, _when(isOpen), outcome)) return;
        if (fuelUsed > before.fuelLimit) _ledger.report("10: more fuel was used than was bought");
        _ledger.setSplit(jobId, split);
    }

    /// @notice Any call that takes a job and nothing else, mostly by the requester or the node.
    function plain(uint256 job, uint256 kind, uint256 account) external {
        if (_hasNoJobs()) return;
        IEmethCore.Job memory before = _core.jobs(_id(job));
        address[3] memory likely = [before.requester, before.node, _accounts[account % ACCOUNTS]];
        address by = _somebody(likely[account % 3]);
        (bytes4 selector, bool isOpen) = Rules.exit(kind % 9, before, by);
        // A bond is taken from the challenger's tokens, which may fail; everything else is a way out.
        Expected ifOpen = selector == _core.challenge.selector ? _behaviour.ofPull() : Expected.SUCCESS;
        _callPlain(_id(job), selector, by, isOpen ? ifOpen : Expected.FAILURE);
    }

    function _split(IEmethCore.Job memory job, uint256 fuelUsed, uint96 first, uint256 kind)
        private
        view
        returns (Split memory split)
    {
        uint96 payout = Rules.payoutOf(job, fuelUsed);
        split.first = uint96(_bound(first, 0, payout));
        // A node may commit to a list that promises more than the job pays, or less.
        split.second = kind == 2 ? payout : kind == 3 ? (payout - split.first) / 2 : payout - split.first;
        bytes32 second = Rules.leaf(1, _node(1), split.second);
        split.root = Hashes.commutativeKeccak256(Rules.leaf(0, _node(0), split.first), second);
    }
}
