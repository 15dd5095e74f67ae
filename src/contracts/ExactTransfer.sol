// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Receiving tokens that may keep a part
library ExactTransfer {
    using SafeERC20 for IERC20;

    /// @notice The token kept a part of the transfer; amounts in its own wei.
    error TransferFellShort(uint256 received, uint256 expected);

    /// @notice Moves `amount` from `from` to this contract, or reverts.
    /// @dev A token that takes a fee would leave the books short, so the balance counts.
    function pull(IERC20 token, address from, uint256 amount) internal {
        // Interaction: the tokens come in. Every caller does this last, after all of its effects.
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(from, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        // Check: all of it arrived.
        if (received < amount) revert TransferFellShort(received, amount);
    }
}
