// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {MoneyActs} from "./MoneyActs.sol";
import {NodeActs} from "./NodeActs.sol";
import {vm} from "./Vm.sol";

/// @notice The whole crowd, and its way out: time and anybody end every job, and everybody gets its money, paused or not.
abstract contract Exits is MoneyActs, NodeActs {
    uint256 private constant STAGES = 3;

    /// @notice The longest work, then the longest verdict, then the longest time for claims: no call of an interested party helps.
    function endAll() external {
        uint256 start = _now();
        for (uint256 stage = 1; stage <= STAGES; ++stage) {
            vm.warp(start + stage * 100 days);
            for (uint256 i = 0; i < _ids.length; ++i) _end(i);
        }
    }

    function takeAllOut() external {
        for (uint256 i = 0; i < _accounts.length; ++i) {
            address account = _accounts[i];
            uint256 owed = _core.credit(account);
            vm.prank(account);
            _core.withdraw(account, owed);
            _core.burn(account);
        }
        if (_token.balanceOf(address(_core)) != 0) _accuse("4: money stays behind");
        _takeStakesOut();
    }

    function _end(uint256 index) private {
        bytes16 jobId = _ids[index];
        IEmethCore.Job memory job = _core.jobs(jobId);
        (bytes4 selector, address by) = _lastCall(job);
        if (selector == 0) return;
        if (!_do(index, selector, by, Word.MUST_WORK)) _accuse("4: a job has no end");
    }

    function _lastCall(IEmethCore.Job memory job) internal view returns (bytes4 selector, address by) {
        by = _actors[SOMEBODY];
        if (job.state == IEmethCore.State.REQUESTED) return (_core.expire.selector, by);
        if (job.state == IEmethCore.State.PROCESSING) return (_core.timeout.selector, by);
        if (job.state == IEmethCore.State.SUBMITTED) return (_core.finalize.selector, by);
        if (job.state == IEmethCore.State.DISPUTED) return (_core.unwind.selector, by);
        bool isLeft = job.state == IEmethCore.State.VERIFIED && job.payout > 0 && _now() > job.deadline;
        return isLeft ? (_core.sweepUnclaimed.selector, job.node) : (bytes4(0), by);
    }

    function _mend() internal override {
        _mendTerms();
        _mendNodes();
    }

    function _wordOfTransfers() internal view override returns (Word) {
        return _wordOfTransfer();
    }
}
