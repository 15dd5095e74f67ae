// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Governed} from "./Governed.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";

/// @title What the contract owes to whom
/// @notice The only place that moves tokens. The token balance is at all times what accounts are owed, what they forfeited and what
/// jobs have locked.
/// @dev Ends of jobs only write here, they move nothing: no token, pool or receiver can hold them up.
abstract contract CreditBook is Governed, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev One word, so that a node's returned deposit and its penalty cost one write. All credits together are at most the
    /// token's supply, which has to fit 128 bits.
    struct Account {
        uint128 credit;
        uint128 forfeited;
    }

    /// @notice The token everything is paid in.
    IERC20 public immutable token;

    mapping(address account => Account) private _accounts;

    constructor(IERC20 token_) {
        token = token_;
    }

    /// @inheritdoc IEmethCore
    function credit(address account) external view returns (uint256) {
        return _accounts[account].credit;
    }

    /// @inheritdoc IEmethCore
    function forfeited(address account) external view returns (uint256) {
        return _accounts[account].forfeited;
    }

    /// @inheritdoc IEmethCore
    function deposit(address account, uint256 amount) external nonReentrant {
        // Effect: this credit exists only because the transfer below reverts if it falls short.
        _owe(account, SafeCast.toUint128(amount));
        emit Deposited(account, msg.sender, amount);
        // Interaction.
        _pull(msg.sender, amount);
    }

    /// @inheritdoc IEmethCore
    function withdraw(address to, uint256 amount) external nonReentrant {
        // Check: the caller owns that much.
        uint256 owned = _accounts[msg.sender].credit;
        if (amount > owned) revert EmethCore_NotEnoughCredit(msg.sender, owned, amount);
        // Effect.
        _accounts[msg.sender].credit = uint128(owned - amount);
        emit Withdrawn(msg.sender, to, amount);
        // Interaction.
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IEmethCore
    function releasePenalties(address account) external nonReentrant {
        (address pool, uint256 amount) = (rewardPool, _accounts[account].forfeited);
        // Effect.
        _accounts[account].forfeited = 0;
        emit PenaltiesReleased(account, pool, amount);
        // Interaction.
        if (pool == address(0)) ERC20Burnable(address(token)).burn(amount);
        else token.safeTransfer(pool, amount);
    }

    /// @dev Takes `amount` from `account`'s credit first and the rest from its tokens. Ends in an interaction: call it last.
    function _collect(address account, uint256 amount) internal {
        uint256 owned = _accounts[account].credit;
        uint256 fromCredit = owned < amount ? owned : amount;
        if (fromCredit > 0) {
            _accounts[account].credit = uint128(owned - fromCredit);
            emit CreditUsed(account, fromCredit);
        }
        if (amount > fromCredit) _pull(account, amount - fromCredit);
    }

    function _owe(address account, uint256 amount) internal {
        if (amount > 0) _accounts[account].credit += uint128(amount);
    }

    /// @dev What is forfeited is nobody's: were it a party's, baiting others would pay.
    function _oweAndForfeit(address account, uint256 owed, uint256 lost) internal {
        Account memory book = _accounts[account];
        _accounts[account] = Account({credit: book.credit + uint128(owed), forfeited: book.forfeited + uint128(lost)});
    }

    /// @dev A token that takes a fee of its own would leave the book short, so the balance is what counts.
    function _pull(address from, uint256 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(from, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received < amount) revert EmethCore_TransferFellShort(received, amount);
    }
}
