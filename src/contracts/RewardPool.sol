// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "./interfaces/IEmethCore.sol";
import {IEmethToken} from "./interfaces/IEmethToken.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IRewardPool} from "./interfaces/IRewardPool.sol";

/// @title New tokens for paid work
/// @dev Has no administrator. It only reads from the escrow and the registry, so it cannot block a job.
contract RewardPool is IRewardPool {
    uint256 private constant BPS = 10_000;
    uint256 private constant SLOT = 1 days;
    uint256 private constant BASE = 12_000 ether * 24;
    uint256 private constant YEARLY_FALL = 600 ether * 24;
    /// @inheritdoc IRewardPool
    uint256 public constant SHARE_BPS = 8_000;

    /// @inheritdoc IRewardPool
    IEmethCore public immutable core;
    /// @inheritdoc IRewardPool
    IEmethToken public immutable token;
    /// @inheritdoc IRewardPool
    INodeRegistry public immutable registry;
    /// @inheritdoc IRewardPool
    uint256 public immutable firstSlot;
    /// @inheritdoc IRewardPool
    uint256 public immutable cap;
    /// @inheritdoc IRewardPool
    uint256 public minted;

    mapping(address node => mapping(uint256 word => uint256 bits)) private _claimed;

    constructor(IEmethCore core_, IEmethToken token_, INodeRegistry registry_, uint256 cap_) {
        (core, token, registry, cap, firstSlot) = (core_, token_, registry_, cap_, block.timestamp / SLOT);
    }

    /// @inheritdoc IRewardPool
    function claimSlots(uint256[] calldata slots) external returns (uint256 amount) {
        address payout = registry.payoutOf(msg.sender);
        address to = payout == address(0) ? msg.sender : payout;
        for (uint256 i = 0; i < slots.length; ++i) {
            uint256 slot = slots[i];
            // Check: the slot has a reward that was not claimed.
            uint256 part = reward(slot, msg.sender);
            if (part == 0) continue;
            // Effect: the slot is marked as claimed before anything is minted, so that a slot named twice
            // pays once.
            _claimed[msg.sender][slot >> 8] |= 1 << (slot & 0xff);
            minted += part;
            amount += part;
            emit SlotClaimed(msg.sender, slot, to, part);
        }
        if (amount == 0) revert RewardPool_NothingToClaim(msg.sender);
        // Interaction: the tokens are minted.
        token.mint(to, amount);
    }

    /// @inheritdoc IRewardPool
    function incentives(address node, bytes16[] calldata jobIds, uint256 fromSlot, uint256 toSlot)
        external
        view
        returns (Incentives memory found)
    {
        found.credit = core.credit(node);
        for (uint256 i = 0; i < jobIds.length; ++i) found.lockedDeposits += _lockedBy(node, core.jobs(jobIds[i]));
        uint256 count = 0;
        for (uint256 slot = fromSlot; slot < toSlot; ++slot) if (reward(slot, node) > 0) ++count;
        (found.slots, found.rewards) = (new uint256[](count), new uint256[](count));
        for (uint256 slot = toSlot; count > 0; --slot) {
            uint256 part = reward(slot - 1, node);
            if (part > 0) (found.slots[--count], found.rewards[count]) = (slot - 1, part);
        }
    }

    /// @inheritdoc IRewardPool
    function reward(uint256 slot, address node) public view returns (uint256) {
        if (slot >= block.timestamp / SLOT || _claimed[node][slot >> 8] & (1 << (slot & 0xff)) != 0) return 0;
        uint256 burnt = core.slotBurntBy(slot, node);
        if (burnt == 0) return 0;
        uint256 shared = emission(slot) * burnt / core.slotBurnt(slot);
        uint256 bound = burnt * SHARE_BPS / BPS;
        uint256 earned = shared < bound ? shared : bound;
        return earned < cap - minted ? earned : cap - minted;
    }

    /// @inheritdoc IRewardPool
    function emission(uint256 slot) public view returns (uint256) {
        if (slot < firstSlot) return 0;
        uint256 fall = YEARLY_FALL * (slot - firstSlot) / 365;
        return fall < BASE ? BASE - fall : 0;
    }

    function _lockedBy(address node, IEmethCore.Job memory job) private pure returns (uint256) {
        bool holds = job.state == IEmethCore.State.PROCESSING || job.state == IEmethCore.State.SUBMITTED
            || job.state == IEmethCore.State.DISPUTED;
        return holds && job.node == node ? job.fee : 0;
    }
}
