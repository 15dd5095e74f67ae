// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {Watcher} from "./Watcher.sol";
import {vm} from "./Vm.sol";

/// @notice Deposits and withdrawals, with and without gas of one's own; the administrator's acts; and time.
abstract contract MoneyActs is Watcher {
    /// @dev A registry that knows nobody.
    address private constant ELSEWHERE = address(0xDEAD);

    function deposit(uint256 from, uint256 to, uint96 amount) external {
        amount %= 1e21;
        (address by, address account) = (_actors[from % ACTORS], _actors[to % ACTORS]);
        _gives(by, amount);
        _gets(account, amount);
        _call(by, NO_JOB, abi.encodeCall(_core.deposit, (account, amount)), _wordOfPulls());
    }

    function withdraw(uint256 from, uint256 to, uint256 amount, bool isTooMuch) external {
        address by = _actors[from % ACTORS];
        uint256 owed = _core.credit(by);
        amount = isTooMuch ? owed + 1 + amount % 1e18 : _bound(amount, 0, owed);
        bytes memory data = abi.encodeCall(_core.withdraw, (_actors[to % ACTORS], amount));
        _spends(by, amount);
        _receives(_actors[to % ACTORS], amount);
        _call(by, NO_JOB, data, isTooMuch ? Word.MUST_FAIL : _wordOfTransfer());
    }

    /// @dev Somebody brings an account's signature: a good one and the same once more, a late one, or another's.
    function relay(uint256 from, uint256 to, uint256 amount, uint256 tip, uint256 kind) external {
        from %= ACTORS;
        (address account, uint256 owed) = (_actors[from], _core.credit(_actors[from]));
        amount = _bound(amount, 0, owed);
        tip = _bound(tip, 0, owed - amount);
        (uint256 signer, uint256 until) = (kind % 4 == 1 ? (from + 1) % ACTORS : from, _now());
        if (kind % 4 == 2) --until;
        address target = _actors[to % ACTORS];
        bytes memory signed = _signWithdrawal(signer, account, target, amount, tip, until);
        bytes memory data = abi.encodeCall(_core.withdrawWithSig, (account, target, amount, tip, until, signed));
        address by = _actors[SOMEBODY];
        bool isGood = kind % 4 == 0 || kind % 4 == 3;
        _spends(account, amount + tip);
        _gets(by, tip);
        _receives(target, amount);
        bool done = _callFor(by, isGood ? account : by, NO_JOB, data, isGood ? _wordOfTransfer() : Word.MUST_FAIL);
        if (done) _call(by, NO_JOB, data, Word.MUST_FAIL);
    }

    function burn(uint256 account) external {
        address whose = _actors[account % ACTORS];
        _burns(whose);
        _call(_actors[SOMEBODY], NO_JOB, abi.encodeCall(_core.burn, (whose)), _wordOfPulls());
    }

    /// @dev What a withdrawal that the books cover must do; a hostile token may refuse it.
    function _wordOfTransfer() internal view virtual returns (Word) {
        return Word.MUST_WORK;
    }

    // --------------------------------------------------------------------------------------------------- administration

    /// @dev The administrator (this contract) changes what it may; no job that exists may notice.
    function govern(uint256 kind, uint16 bps, bool flag) external {
        bytes memory data = abi.encodeCall(_core.setTerms, (_nextTerms(kind, bps)));
        if (kind % 5 == 1) data = abi.encodeCall(_core.setPaused, (flag));
        if (kind % 5 == 2) data = _verifierChange(flag);
        if (kind % 5 == 3) data = abi.encodeCall(_core.setRegistry, (_nextRegistry(bps)));
        if (kind % 5 == 3 && _core.registryNumber() == type(uint8).max) return;
        _call(address(this), NO_JOB, data, Word.MUST_WORK);
        _checkAllRules();
        // What is broken for long would leave little to look at.
        if (bps % 4 > 0) _mendTerms();
    }

    function _mendTerms() internal {
        if (_core.paused()) _call(address(this), NO_JOB, abi.encodeCall(_core.setPaused, (false)), Word.MUST_WORK);
        bool isAway = _core.registry() != address(_registry) && _core.registryNumber() < type(uint8).max;
        if (isAway) _call(address(this), NO_JOB, abi.encodeCall(_core.setRegistry, (address(_registry))), Word.MUST_WORK);
        bool isVerifier = _core.hasRole(_core.VERIFIER_ROLE(), _actors[FIRST_VERIFIER + 1]);
        if (!isVerifier) _call(address(this), NO_JOB, _verifierChange(true), Word.MUST_WORK);
        for (uint256 i = 0; i < NODES; ++i) if (!_core.isActive(_node(i))) _registry.sync(_node(i));
    }

    /// @dev Anybody tries what only the administrator may.
    function usurp(uint256 kind, uint256 actor) external {
        bytes memory data = abi.encodeCall(_core.setTerms, (_nextTerms(kind, 0)));
        if (kind % 4 == 1) data = abi.encodeCall(_core.setPaused, (true));
        if (kind % 4 == 2) data = abi.encodeCall(_core.setRegistry, (ELSEWHERE));
        if (kind % 4 == 3) data = abi.encodeCall(_core.setActive, (_actors[actor % ACTORS], true));
        _call(_actors[actor % ACTORS], NO_JOB, data, Word.MUST_FAIL);
    }

    function _nextTerms(uint256 kind, uint16 bps) private view returns (IEmethCore.Terms memory next) {
        next = _core.terms(_core.currentTerms());
        next.penaltyBps = uint16(_bound(bps, 100, 5000));
        (next.verifierBps, next.declineBps, next.burnBps) = (next.penaltyBps / 4, next.penaltyBps / 2, next.penaltyBps / 3);
        next.quorum = uint8(1 + kind / 5 % 2);
        next.verdictWindow = uint24(_bound(bps, 10 minutes, 2 hours));
        next.claimWindow = uint24(_bound(kind, 7 days, 90 days));
    }

    function _verifierChange(bool flag) private view returns (bytes memory) {
        (bytes32 role, address verifier) = (_core.VERIFIER_ROLE(), _actors[FIRST_VERIFIER + 1]);
        return flag ? abi.encodeCall(_core.grantRole, (role, verifier)) : abi.encodeCall(_core.revokeRole, (role, verifier));
    }

    /// @dev Away to none or to another one, and mostly back.
    function _nextRegistry(uint256 seed) private view returns (address) {
        if (_core.registry() != address(_registry) || seed % 3 == 0) return address(_registry);
        return seed % 3 == 1 ? address(0) : ELSEWHERE;
    }

    // ------------------------------------------------------------------------------------------------------------- time

    function wait(uint32 time, uint8 kind) external {
        uint256 most = 10 minutes;
        if (kind % 4 == 0) most = 2 hours;
        if (kind % 8 == 1) most = 2 days;
        vm.warp(_now() + _bound(time, 1, most));
    }

    /// @dev To within half a minute of a job's deadline, where the rules change.
    function waitFor(uint256 job, uint8 seconds_) external {
        if (_ids.length == 0) return;
        uint256 time = uint256(_core.jobs(_ids[job % _ids.length]).deadline) + seconds_ % 60;
        if (time > _now() + 30 && time < _now() + 1 days) vm.warp(time - 30);
    }
}
