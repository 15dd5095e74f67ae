// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {Crowd} from "./Crowd.sol";
import {Reach} from "./Reach.sol";
import {HostileToken} from "./HostileToken.sol";
import {vm} from "./Vm.sol";

/// @notice The crowd with a token that changes its ways between calls. It may refuse what it is asked, and call back; the books stay
/// right, and no job waits for it.
contract HostileHandler is Reach {
    HostileToken private immutable _hostile;
    uint256 private _reentered = NO_JOB;
    /// @dev As often as calls from within a transfer had gone through when it was last looked.
    uint256 private _entered;

    constructor() Crowd(new HostileToken()) {
        _hostile = HostileToken(address(_token));
        // It may become somebody the escrow owes: a tip for a timeout that it calls from within a transfer.
        _accounts.push(address(_token));
        for (uint256 i = 0; i < ACTORS; ++i) _hostile.mint(_actors[i], 1e24);
        _hostile.mint(address(_token), 1e24);
        vm.prank(address(_token));
        _hostile.approve(address(_core), type(uint256).max);
        vm.prank(address(_token));
        _hostile.approve(address(_registry), type(uint256).max);
        _settleIn();
    }

    /// @dev What the token does from now on. Kind or without an answer, it works.
    function misbehave(uint256 mode, uint256 kind, uint256 job) external {
        _reentered = NO_JOB;
        HostileToken.Mode next = HostileToken.Mode(mode % 7);
        if (next < HostileToken.Mode.REENTERS) return _hostile.misbehave(next, address(_core), "");
        // Every other time it ends a job that is due, which works; else it tries anything.
        bool isDue = kind % 2 == 0 && _ids.length > 0;
        kind = kind / 2 % 14;
        if (isDue) job = _overdue(job);
        (address target, bytes memory data) = isDue ? _lastCallBack(job) : _callBack(kind, job);
        if (target == address(_core) && _ids.length > 0 && (isDue || kind < 10)) _reentered = job % _ids.length;
        _hostile.misbehave(next, target, data);
    }

    /// @notice From now on the token moves nothing.
    function block_() external {
        _hostile.misbehave(HostileToken.Mode.BLOCKS, address(_core), "");
    }

    /// @notice From now on it works, though it answers nothing.
    function calm() external {
        _hostile.misbehave(HostileToken.Mode.RETURNS_NOTHING, address(_core), "");
    }

    /// @dev The first job from `job` on that anybody may end, or `job` itself.
    function _overdue(uint256 job) private view returns (uint256) {
        for (uint256 i = 0; i < _ids.length; ++i) {
            uint256 next = (job % _ids.length + i) % _ids.length;
            IEmethCore.Job memory seen = _core.jobs(_ids[next]);
            bool isOpen = seen.requester != address(0) && seen.state != IEmethCore.State.VERIFIED;
            if (isOpen && _now() > seen.deadline) return next;
        }
        return job;
    }

    function _lastCallBack(uint256 job) private view returns (address, bytes memory) {
        (bytes4 selector,) = _lastCall(_core.jobs(_id(job)));
        return (address(_core), abi.encodeWithSelector(selector, _id(job)));
    }

    function _callBack(uint256 kind, uint256 job) private view returns (address, bytes memory) {
        bytes16 jobId = _ids.length == 0 ? bytes16(0) : _id(job);
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
        if (kind == 12) return (address(_core), abi.encodeCall(_core.burn, (_node(job % NODES))));
        address node = _node(job % NODES);
        bytes memory stake = abi.encodeCall(_registry.addStake, (node, 1e21));
        return (address(_registry), job % 2 == 0 ? stake : abi.encodeCall(_registry.withdrawStake, (node)));
    }

    function _inner() internal view override returns (uint256) {
        return _reentered;
    }

    function _mayPay(address account, address payer) internal view override returns (bool) {
        return account == payer || account == address(_token);
    }

    function _isExact() internal override returns (bool isExact) {
        uint256 entered = _hostile.entered();
        isExact = entered == _entered;
        if (!isExact) _note("calls from within a transfer");
        _entered = entered;
    }

    function _wordOfPulls() internal view override returns (Word) {
        HostileToken.Mode mode = _hostile.mode();
        bool works = mode == HostileToken.Mode.KIND || mode == HostileToken.Mode.RETURNS_NOTHING;
        return works ? Word.MUST_WORK : Word.MAY_WORK;
    }

    function _isPlain() internal view override returns (bool) {
        return _hostile.mode() != HostileToken.Mode.TAKES_A_FEE;
    }

    function _reachOfMore() internal view override returns (string memory) {
        return _countOf("calls from within a transfer", "calls from within a transfer");
    }

    function _wordOfTransfer() internal view override returns (Word) {
        HostileToken.Mode mode = _hostile.mode();
        bool works = mode != HostileToken.Mode.ANSWERS_FALSE && mode != HostileToken.Mode.BLOCKS;
        return works ? Word.MUST_WORK : Word.MAY_WORK;
    }
}
