// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";

/// @title What the contract owes to whom
/// @notice The only place that moves tokens. The token balance is never below the credits plus what jobs have locked.
abstract contract CreditBook is IEmethCore, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice The token everything is paid in.
    IERC20 public immutable token;

    mapping(address account => uint256 amount) internal _credit;

    constructor(IERC20 token_) {
        token = token_;
    }

    /// @inheritdoc IEmethCore
    function credit(address account) external view returns (uint256) {
        return _credit[account];
    }

    /// @inheritdoc IEmethCore
    function deposit(address account, uint256 amount) external nonReentrant {
        // Effect: this credit exists only because the transfer below reverts if it falls short.
        _credit[account] += amount;
        emit Deposited(account, msg.sender, amount);
        // Interaction.
        _pull(msg.sender, amount);
    }

    /// @inheritdoc IEmethCore
    function withdraw(address to, uint256 amount) external nonReentrant {
        // Check: the caller owns that much.
        uint256 owned = _credit[msg.sender];
        if (amount > owned) revert EmethCore_NotEnoughCredit(msg.sender, owned, amount);
        // Effect.
        _credit[msg.sender] = owned - amount;
        emit Withdrawn(msg.sender, to, amount);
        // Interaction.
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IEmethCore
    function burnPenalties() external nonReentrant {
        uint256 amount = _credit[address(0)];
        // Effect.
        _credit[address(0)] = 0;
        emit PenaltiesBurnt(amount);
        // Interaction.
        ERC20Burnable(address(token)).burn(amount);
    }

    /// @dev Takes `amount` from `account`'s credit first and the rest from its tokens. Ends in an interaction: call it last.
    function _collect(address account, uint256 amount) internal {
        uint256 owned = _credit[account];
        uint256 fromCredit = owned < amount ? owned : amount;
        if (fromCredit > 0) {
            _credit[account] = owned - fromCredit;
            emit CreditUsed(account, fromCredit);
        }
        if (amount > fromCredit) _pull(account, amount - fromCredit);
    }

    function _owe(address account, uint256 amount) internal {
        if (amount > 0) _credit[account] += amount;
    }

    /// @dev A token that takes a fee of its own would leave the book short, so the balance is what counts.
    function _pull(address from, uint256 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(from, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received < amount) revert EmethCore_TransferFellShort(received, amount);
    }
}
