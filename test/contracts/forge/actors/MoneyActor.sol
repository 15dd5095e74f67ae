// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ACCOUNTS, SOMEBODY} from "../Crowd.sol";
import {Ledger, NO_JOB} from "../Ledger.sol";
import {Expected, Outcome, Outcomes} from "../Outcome.sol";
import {Actor} from "./Actor.sol";

/// @notice Deposits, withdraws with and without a relayer, and burns what was forfeited.
contract MoneyActor is Actor {
    constructor(Ledger ledger) Actor(ledger) {}

    function deposit(uint256 from, uint256 to, uint96 amount) external {
        amount %= 1e21;
        (address by, address account) = (_accounts[from % ACCOUNTS], _accounts[to % ACCOUNTS]);
        Outcome memory outcome = Outcomes.none();
        outcome.gives(by, amount);
        outcome.gets(account, amount);
        _ledger.call(by, NO_JOB, abi.encodeCall(_core.deposit, (account, amount)), _behaviour.ofPull(), outcome);
    }

    function withdraw(uint256 from, uint256 to, uint256 amount, bool isTooMuch) external {
        (address by, address target) = (_accounts[from % ACCOUNTS], _accounts[to % ACCOUNTS]);
        uint256 owed = _core.credit(by);
        amount = isTooMuch ? owed + 1 + amount % 1e18 : _bound(amount, 0, owed);
        Outcome memory outcome = Outcomes.none();
        outcome.spends(by, amount);
        outcome.receives(target, amount);
        Expected expected = isTooMuch ? Expected.FAILURE : _behaviour.ofTransfer();
        _ledger.call(by, NO_JOB, abi.encodeCall(_core.withdraw, (target, amount)), expected, outcome);
    }

    /// @notice Somebody brings an account's signature: a good one and the same once more, a late one, or
    /// another account's.
    function relay(uint256 from, uint256 to, uint256 amount, uint256 tip, uint256 kind) external {
        from %= ACCOUNTS;
        (address account, uint256 owed) = (_accounts[from], _core.credit(_accounts[from]));
        amount = _bound(amount, 0, owed);
        tip = _bound(tip, 0, owed - amount);
        (uint256 signer, uint256 until) = (kind % 4 == 1 ? (from + 1) % ACCOUNTS : from, _now());
        if (kind % 4 == 2) --until;
        address target = _accounts[to % ACCOUNTS];
        bytes memory signed = _crowd.signWithdrawal(signer, account, target, amount, tip, until);
        bytes memory data = abi.encodeCall(_core.withdrawWithSig, (account, target, amount, tip, until, signed));
        address by = _accounts[SOMEBODY];
        bool isGood = kind % 4 == 0 || kind % 4 == 3;
        Outcome memory outcome = Outcomes.none();
        outcome.spends(account, amount + tip);
        outcome.gets(by, tip);
        outcome.receives(target, amount);
        Expected expected = isGood ? _behaviour.ofTransfer() : Expected.FAILURE;
        if (!_ledger.callFor(by, isGood ? account : by, data, expected, outcome)) return;
        _ledger.call(by, NO_JOB, data, Expected.FAILURE, Outcomes.none());
    }

    function burn(uint256 account) external {
        address burnt = _accounts[account % ACCOUNTS];
        Outcome memory outcome = Outcomes.none();
        outcome.burns(burnt);
        _ledger.call(_accounts[SOMEBODY], NO_JOB, abi.encodeCall(_core.burn, (burnt)), _behaviour.ofPull(), outcome);
    }
}
