// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Ledger} from "../Ledger.sol";
import {vm} from "../Vm.sol";
import {Actor} from "./Actor.sol";

/// @notice Lets time pass.
contract TimeActor is Actor {
    constructor(Ledger ledger) Actor(ledger) {}

    function wait(uint32 time, uint8 kind) external {
        uint256 most = 10 minutes;
        if (kind % 4 == 0) most = 2 hours;
        if (kind % 8 == 1) most = 2 days;
        vm.warp(_now() + _bound(time, 1, most));
    }

    /// @notice To within half a minute of a job's deadline, where the rules change.
    function waitFor(uint256 job, uint8 seconds_) external {
        if (_hasNoJobs()) return;
        uint256 time = uint256(_core.jobs(_id(job)).deadline) + seconds_ % 60;
        if (time > _now() + 30 && time < _now() + 1 days) vm.warp(time - 30);
    }
}
