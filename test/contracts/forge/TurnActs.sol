// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {JobActs} from "./JobActs.sol";
import {vm} from "./Vm.sol";

/// @notice What a crowd does that wants to get somewhere: the steps of a job in their turn, and its ways out when they are open.
abstract contract TurnActs is JobActs {
    /// @dev What usually comes next in jobs that have not ended, several times, so that many sequences come far.
    function advance(uint256 job, uint256 seed, uint8 steps) external {
        if (seed % 4 > 0) _mend();
        for (uint256 i = 0; i <= steps % 8; ++i) _advance(job % MAX_JOBS + i / 3, uint256(keccak256(abi.encode(seed, i))));
    }

    /// @dev A job's way out, by who may, when it may; mostly of a job that has a result.
    function finish(uint256 job, uint256 seed) external {
        if (_ids.length == 0) return;
        job = _unended(job);
        for (uint256 i = 0; i <= (seed >> 8) % 3; ++i) {
            if (_ledgers[_id(job)].state < IEmethCore.State.SUBMITTED) _step(job, seed >> 40 + i);
        }
        IEmethCore.Job memory before = _core.jobs(_id(job));
        if (before.state == IEmethCore.State.REQUESTED) return seed % 4 > 1 ? process(job, seed) : _finish(job, seed % 2, before);
        if (before.state == IEmethCore.State.PROCESSING) return _finish(job, 2 + seed % 2, before);
        if (before.state == IEmethCore.State.SUBMITTED) return _finish(job, 4 + seed % 3, before);
        if (before.state == IEmethCore.State.DISPUTED) return _finish(job, 7, before);
        if (seed % 4 == 0) _finish(job, 8, before);
        else collect(job, seed >> 8, seed >> 16);
    }

    function _finish(uint256 job, uint256 kind, IEmethCore.Job memory before) private {
        bool isLate = kind == 1 || kind == 3 || kind == 5 || kind == 7 || kind == 8;
        uint256 least = _ledgers[_id(job)].rules.minWork;
        // The second of the deadline itself is too early.
        if (isLate && _now() <= before.deadline) vm.warp(uint256(before.deadline) + (before.fee % 8 < 3 ? 0 : 1));
        // A node that declines does so in time for another, or waits until it is too late.
        else if (kind == 2 && before.fee % 2 == 0 && _now() + least <= before.deadline) vm.warp(before.deadline);
        bool isNodes = kind == 2 || kind == 8;
        address by = kind == 0 || kind == 4 ? before.requester : isNodes ? before.node : _actors[SOMEBODY];
        (bytes4 act, bool open) = _exit(kind, before, by);
        Word ifOpen = kind == 6 ? _wordOfPulls() : Word.MUST_WORK;
        _do(job, act, by, open ? ifOpen : Word.MUST_FAIL);
    }

    function _advance(uint256 job, uint256 seed) private {
        if (_ids.length < 3 || (seed >> 32) % 6 == 0) request(seed, uint96(seed >> 64), uint40(seed >> 160), uint32(seed >> 200));
        if (_ids.length > 0) _step(_unended(job), seed);
    }

    function _step(uint256 job, uint256 seed) private {
        IEmethCore.State state = _ledgers[_id(job)].state;
        if (state == IEmethCore.State.REQUESTED) return process(job, seed);
        if (state == IEmethCore.State.PROCESSING) return submit(job, uint40(seed), uint96(seed >> 8), uint8(1 + seed % 7));
        if (state == IEmethCore.State.SUBMITTED && seed % 4 == 0) return plain(job, 6, SOMEBODY);
        if (state == IEmethCore.State.SUBMITTED || state == IEmethCore.State.DISPUTED) {
            return judge(job, seed % 3 > 0, 3 - (seed >> 8) % 3, seed >> 16, uint8(seed >> 24));
        }
        if (seed % 3 == 0) return payWorkers(job);
        claimPay(job, seed);
    }

    /// @dev Puts right again what keeps jobs from being requested, taken and judged.
    function _mend() internal virtual;

    /// @dev The first from `job` on that something can still happen to, or `job` itself.
    function _unended(uint256 job) private view returns (uint256) {
        job %= _ids.length;
        for (uint256 i = 0; i < _ids.length; ++i) {
            Ledger storage next = _ledgers[_id(job + i)];
            bool isPaid = next.state == IEmethCore.State.VERIFIED && next.inside == 0;
            bool isEnded = next.state > IEmethCore.State.VERIFIED && next.state != IEmethCore.State.DISPUTED;
            if (!isEnded && !isPaid) return (job + i) % _ids.length;
        }
        return job;
    }
}
