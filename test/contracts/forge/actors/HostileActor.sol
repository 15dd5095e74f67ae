// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {HostileBehaviour} from "../Behaviour.sol";
import {NODES, SOMEBODY} from "../Crowd.sol";
import {HostileToken} from "../HostileToken.sol";
import {Ledger, NO_JOB} from "../Ledger.sol";
import {Rules} from "../Rules.sol";
import {Actor} from "./Actor.sol";

/// @notice Changes how the hostile token behaves. It may refuse what it is asked, and call back; the books
/// stay right, and no job waits for it.
contract HostileActor is Actor {
    HostileBehaviour private immutable _hostile;

    constructor(Ledger ledger, HostileBehaviour hostile) Actor(ledger) {
        _hostile = hostile;
    }

    /// @notice What the token does from now on. Half of the calls back end a job that is due, which works;
    /// the others try anything.
    function misbehave(uint256 mode, uint256 kind, uint256 job) external {
        HostileToken.Mode next = HostileToken.Mode(mode % 7);
        if (next < HostileToken.Mode.REENTERS) return _hostile.misbehave(next, address(_core), "", NO_JOB);
        if (kind % 2 == 0 && !_hasNoJobs()) return _endFromWithin(next, _overdue(job));
        kind = kind / 2 % 14;
        (address target, bytes memory data) = _callBack(kind, job);
        bool isOfJob = kind < 10 && !_hasNoJobs();
        _hostile.misbehave(next, target, data, isOfJob ? _id(job) : NO_JOB);
    }

    function _endFromWithin(HostileToken.Mode mode, bytes16 jobId) private {
        (bytes4 selector,) = Rules.lastCall(_core.jobs(jobId), _accounts[SOMEBODY]);
        _hostile.misbehave(mode, address(_core), abi.encodeWithSelector(selector, jobId), jobId);
    }

    /// @dev The first job from `job` on that anybody may end, or `job` itself.
    function _overdue(uint256 job) private view returns (bytes16) {
        uint256 count = _ledger.count();
        for (uint256 i = 0; i < count; ++i) {
            bytes16 jobId = _id(job % count + i);
            IEmethCore.Job memory seen = _core.jobs(jobId);
            bool isOpen = seen.requester != address(0) && seen.state != IEmethCore.State.VERIFIED;
            if (isOpen && _now() > seen.deadline) return jobId;
        }
        return _id(job);
    }

    function _callBack(uint256 kind, uint256 job) private view returns (address, bytes memory) {
        bytes16 jobId = _hasNoJobs() ? NO_JOB : _id(job);
        bytes4[10] memory ofJobs = [
            _core.expire.selector,
            _core.timeout.selector,
            _core.finalize.selector,
            _core.unwind.selector,
            _core.challenge.selector,
            _core.process.selector,
            _core.cancel.selector,
            _core.accept.selector,
            _core.decline.selector,
            _core.sweepUnclaimed.selector
        ];
        if (kind < 10) return (address(_core), abi.encodeWithSelector(ofJobs[kind], jobId));
        if (kind == 10) return (address(_core), abi.encodeCall(_core.withdraw, (address(_token), 0)));
        if (kind == 11) return (address(_core), abi.encodeCall(_core.deposit, (address(_token), 1e21)));
        address node = _node(job % NODES);
        if (kind == 12) return (address(_core), abi.encodeCall(_core.burn, (node)));
        bytes memory stake = abi.encodeCall(_registry.addStake, (node, 1e21));
        return (address(_registry), job % 2 == 0 ? stake : abi.encodeCall(_registry.withdrawStake, (node)));
    }
}
