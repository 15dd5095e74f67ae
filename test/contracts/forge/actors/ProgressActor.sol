// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {SOMEBODY} from "../Crowd.sol";
import {Ledger} from "../Ledger.sol";
import {Expected} from "../Outcome.sol";
import {Rules} from "../Rules.sol";
import {vm} from "../Vm.sol";
import {Actor} from "./Actor.sol";
import {AdminActor} from "./AdminActor.sol";
import {NodeActor} from "./NodeActor.sol";
import {PayActor} from "./PayActor.sol";
import {RequestActor} from "./RequestActor.sol";
import {VerdictActor} from "./VerdictActor.sol";
import {WorkActor} from "./WorkActor.sol";

/// @notice Moves jobs forward: lets the other actors take the steps of a job one after the other, and takes
/// its ways out when they are open. Calls at random alone would rarely bring a job to its end.
contract ProgressActor is Actor {
    /// @dev `advance` begins at one of so many job numbers.
    uint256 private constant STARTS = 10;

    struct Others {
        RequestActor requests;
        WorkActor work;
        VerdictActor verdicts;
        PayActor pay;
        NodeActor nodes;
        AdminActor admin;
    }

    Others private _others;

    constructor(Ledger ledger, Others memory others) Actor(ledger) {
        _others = others;
    }

    /// @notice What usually comes next in jobs that have not ended, several times, so that many sequences
    /// come far.
    function advance(uint256 job, uint256 seed, uint8 steps) external {
        if (seed % 4 > 0) _restore();
        for (uint256 i = 0; i <= steps % 8; ++i) _advance(job % STARTS + i / 3, uint256(keccak256(abi.encode(seed, i))));
    }

    /// @notice A way out of a job, when it is open and by an account that may take it; mostly of a job that
    /// has a result.
    function finish(uint256 job, uint256 seed) external {
        if (_hasNoJobs()) return;
        job = _unended(job);
        for (uint256 i = 0; i <= (seed >> 8) % 3; ++i) {
            if (_ledger.stateOf(_id(job)) < IEmethCore.State.SUBMITTED) _step(job, seed >> 40 + i);
        }
        IEmethCore.Job memory before = _core.jobs(_id(job));
        if (before.state == IEmethCore.State.REQUESTED) {
            return seed % 4 > 1 ? _others.work.process(job, seed) : _finish(job, seed % 2, before);
        }
        if (before.state == IEmethCore.State.PROCESSING) return _finish(job, 2 + seed % 2, before);
        if (before.state == IEmethCore.State.SUBMITTED) return _finish(job, 4 + seed % 3, before);
        if (before.state == IEmethCore.State.DISPUTED) return _finish(job, 7, before);
        if (seed % 4 == 0) _finish(job, 8, before);
        else _others.pay.collect(job, seed >> 8, seed >> 16);
    }

    /// @param kind As `Rules.exit` counts.
    function _finish(uint256 job, uint256 kind, IEmethCore.Job memory before) private {
        bool isLate = kind == 1 || kind == 3 || kind == 5 || kind == 7 || kind == 8;
        uint256 least = _ledger.rulesOf(_id(job)).minWork;
        // The second of the deadline itself is too early.
        if (isLate && _now() <= before.deadline) vm.warp(uint256(before.deadline) + (before.fee % 8 < 3 ? 0 : 1));
        // A node that declines does so in time for another, or waits until it is too late.
        else if (kind == 2 && before.fee % 2 == 0 && _now() + least <= before.deadline) vm.warp(before.deadline);
        bool isNodes = kind == 2 || kind == 8;
        address by = kind == 0 || kind == 4 ? before.requester : isNodes ? before.node : _accounts[SOMEBODY];
        (bytes4 act, bool isOpen) = Rules.exit(kind, before, by);
        Expected ifOpen = kind == 6 ? _behaviour.ofPull() : Expected.SUCCESS;
        _callPlain(_id(job), act, by, isOpen ? ifOpen : Expected.FAILURE);
    }

    function _advance(uint256 job, uint256 seed) private {
        if (_ledger.count() < 3 || (seed >> 32) % 6 == 0) {
            _others.requests.request(seed, uint96(seed >> 64), uint40(seed >> 160), uint32(seed >> 200));
        }
        if (!_hasNoJobs()) _step(_unended(job), seed);
    }

    function _step(uint256 job, uint256 seed) private {
        IEmethCore.State state = _ledger.stateOf(_id(job));
        if (state == IEmethCore.State.REQUESTED) return _others.work.process(job, seed);
        if (state == IEmethCore.State.PROCESSING) {
            return _others.work.submit(job, uint40(seed), uint96(seed >> 8), uint8(1 + seed % 7));
        }
        if (state == IEmethCore.State.SUBMITTED && seed % 4 == 0) return _others.work.plain(job, 6, SOMEBODY);
        if (state == IEmethCore.State.SUBMITTED || state == IEmethCore.State.DISPUTED) {
            return _others.verdicts.judge(job, seed % 3 > 0, 3 - (seed >> 8) % 3, seed >> 16, uint8(seed >> 24));
        }
        if (seed % 3 == 0) return _others.pay.payWorkers(job);
        _others.pay.claimPay(job, seed);
    }

    /// @dev Mends whatever keeps jobs from being requested, taken and judged.
    function _restore() private {
        _others.admin.restore();
        _others.nodes.restore();
    }

    /// @dev The first from `job` on that something can still happen to, or `job` itself.
    function _unended(uint256 job) private view returns (uint256) {
        uint256 count = _ledger.count();
        job %= count;
        for (uint256 i = 0; i < count; ++i) {
            bytes16 jobId = _id(job + i);
            IEmethCore.State state = _ledger.stateOf(jobId);
            bool isPaid = state == IEmethCore.State.VERIFIED && _ledger.inside(jobId) == 0;
            if (!isPaid && !Rules.isBare(state)) return (job + i) % count;
        }
        return job;
    }
}
