// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {Crowd} from "./Crowd.sol";

/// @notice What everybody must be owed, kept beside the escrow. Before a call it is written down what the call must bring to whom;
/// when it went through that is booked, else forgotten.
abstract contract Books is Crowd {
    struct Account {
        uint128 credit;
        uint128 forfeited;
    }

    struct Due {
        address account;
        int128 credit;
        int128 forfeited;
    }

    struct Purse {
        address account;
        uint256 left;
    }

    mapping(address account => Account) internal _owed;
    /// @dev Of the next call: what accounts get, what one purse holds afterwards, and what its job is then, as a hash; zero if it has none.
    Due[] private _dues;
    Purse private _purse;
    bytes32 internal _jobAfter;
    /// @dev How often something happened: a call that went through by its selector, a state that a job came to by its number.
    mapping(bytes32 what => uint256) internal _reached;

    function _gets(address account, uint256 amount) internal {
        _dues.push(Due(account, int128(int256(amount)), 0));
    }

    function _forfeits(address account, uint256 amount) internal {
        _dues.push(Due(account, 0, int128(int256(amount))));
    }

    /// @dev Out of the account's credit alone.
    function _spends(address account, uint256 amount) internal {
        _dues.push(Due(account, -int128(int256(amount)), 0));
    }

    /// @dev A part of what `from` gets is another's.
    function _moves(address from, address to, uint256 amount) internal {
        _spends(from, amount);
        _gets(to, amount);
    }

    /// @dev Out of the account's credit, and the rest of its tokens.
    function _pays(address account, uint256 amount) internal {
        uint256 fromCredit = _owed[account].credit < amount ? _owed[account].credit : amount;
        _spends(account, fromCredit);
        _gives(account, amount - fromCredit);
    }

    /// @dev Out of the account's tokens alone.
    function _gives(address account, uint256 amount) internal {
        uint256 present = _token.balanceOf(account);
        _purse = Purse(account, present < amount ? 0 : present - amount);
    }

    function _receives(address account, uint256 amount) internal {
        _purse = Purse(account, _token.balanceOf(account) + amount);
    }

    function _burns(address account) internal {
        _dues.push(Due(account, 0, -int128(_owed[account].forfeited)));
    }

    function _becomes(IEmethCore.Job memory job) internal {
        _jobAfter = keccak256(abi.encode(job));
    }

    function _book() internal {
        for (uint256 i = 0; i < _dues.length; ++i) {
            Due memory due = _dues[i];
            Account storage account = _owed[due.account];
            account.credit = uint128(int128(account.credit) + due.credit);
            account.forfeited = uint128(int128(account.forfeited) + due.forfeited);
        }
    }

    function _isPurseRight() internal view returns (bool) {
        return _purse.account == address(0) || _token.balanceOf(_purse.account) == _purse.left;
    }

    function _forget() internal {
        delete _dues;
        delete _purse;
        delete _jobAfter;
    }

    function _note(bytes32 what) internal {
        ++_reached[what];
    }
}
