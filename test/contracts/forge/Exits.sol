// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {INodeRegistry} from "../../../src/contracts/interfaces/INodeRegistry.sol";
import {Actor} from "./actors/Actor.sol";
import {NODES, SOMEBODY} from "./Crowd.sol";
import {Ledger} from "./Ledger.sol";
import {Expected} from "./Outcome.sol";
import {Rules} from "./Rules.sol";
import {vm} from "./Vm.sol";

/// @notice The end of every sequence: time and anybody end every job, and everybody gets its money, paused or
/// not.
contract Exits is Actor {
    uint256 private constant STAGES = 3;

    constructor(Ledger ledger) Actor(ledger) {}

    /// @notice After the longest work, then the longest verdict, then the longest time for claims: no call of
    /// an interested party helps.
    function endAll() external {
        uint256 start = _now();
        for (uint256 stage = 1; stage <= STAGES; ++stage) {
            vm.warp(start + stage * 100 days);
            for (uint256 i = 0; i < _ledger.count(); ++i) _end(_id(i));
        }
    }

    /// @notice Takes out every credit and every stake, whatever happened before.
    function takeAllOut() external {
        address[] memory accounts = _ledger.accounts();
        for (uint256 i = 0; i < accounts.length; ++i) {
            uint256 owed = _core.credit(accounts[i]);
            vm.prank(accounts[i]);
            _core.withdraw(accounts[i], owed);
            _core.burn(accounts[i]);
        }
        if (_token.balanceOf(address(_core)) != 0) _ledger.report("4: money stays behind");
        _takeStakesOut();
    }

    function _end(bytes16 jobId) private {
        (bytes4 selector, address by) = Rules.lastCall(_core.jobs(jobId), _accounts[SOMEBODY]);
        if (selector == 0) return;
        if (!_callPlain(jobId, selector, by, Expected.SUCCESS)) _ledger.report("4: a job has no end");
    }

    function _takeStakesOut() private {
        for (uint256 i = 0; i < NODES; ++i) {
            INodeRegistry.Node memory node = _registry.nodeOf(_node(i));
            if (node.status != INodeRegistry.Status.ACTIVE) continue;
            vm.prank(node.operator);
            _registry.deactivate(node.node);
        }
        vm.warp(_now() + 7 days);
        for (uint256 i = 0; i < NODES; ++i) {
            INodeRegistry.Node memory node = _registry.nodeOf(_node(i));
            if (node.status == INodeRegistry.Status.NONE) continue;
            vm.prank(node.operator);
            _registry.withdrawStake(node.node);
        }
        if (_token.balanceOf(address(_registry)) != 0) _ledger.report("4: a stake stays behind");
    }
}
