// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CreditBook} from "./CreditBook.sol";
import {IEmethAccounts} from "./interfaces/IEmethAccounts.sol";

/// @title Amounts burnt, by day and node
/// @notice The measure of slot rewards: what each job burnt. Fuel alone would not do, because fuel that costs
/// nothing can be invented.
abstract contract SlotBook is CreditBook {
    uint256 private constant SLOT = 1 days;

    mapping(uint256 slot => uint256) private _burnt;
    mapping(uint256 slot => mapping(address node => uint256)) private _burntBy;

    /// @inheritdoc IEmethAccounts
    function slotBurnt(uint256 slot) external view returns (uint256) {
        return _burnt[slot];
    }

    /// @inheritdoc IEmethAccounts
    function slotBurntBy(uint256 slot, address node) external view returns (uint256) {
        return _burntBy[slot][node];
    }

    function _book(address node, uint256 burnt) internal returns (uint256 slot) {
        slot = block.timestamp / SLOT;
        if (burnt == 0) return slot;
        _burnt[slot] += burnt;
        _burntBy[slot][node] += burnt;
    }
}
