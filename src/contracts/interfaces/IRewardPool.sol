// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "./IEmethCore.sol";
import {IEmethToken} from "./IEmethToken.sol";
import {INodeRegistry} from "./INodeRegistry.sol";

/// @title New tokens for work that was paid for
/// @notice A slot is a day (UTC) of settlement. What a slot emits is shared by what the slot's jobs burnt, and no job brings its node
/// more than `SHARE_BPS` of what it burnt: whoever pays itself for work that nobody wanted loses by it. A slot is
/// numbered by the Unix time in days; amounts are in wei.
interface IRewardPool {
    /// @notice What a node has earned and not yet taken.
    struct Incentives {
        /// In the escrow, to withdraw or to pay with.
        uint256 credit;
        /// Deposits in the given jobs that the node holds.
        uint256 lockedDeposits;
        /// Closed slots with a reward that waits, and the rewards.
        uint256[] slots;
        /// What each of them brings, in the same order.
        uint256[] rewards;
    }

    /// @notice None of the slots has a reward that waits for the node.
    error RewardPool_NothingToClaim(address node);

    /// @notice A node's reward of a slot was minted to its wallet `to`.
    /// @param slot Unix time in days.
    /// @param amount In wei.
    event SlotClaimed(address indexed node, uint256 indexed slot, address indexed to, uint256 amount);

    /// @notice Mints the caller's rewards of closed slots to its payout wallet, or to itself if it never was in the registry. Slots that are
    /// not closed, were claimed or brought nothing are passed over.
    /// @param slots Unix times in days.
    /// @return amount What was minted, in wei.
    function claimSlots(uint256[] calldata slots) external returns (uint256 amount);

    /// @notice What a slot may emit, in wei: 12,000 tokens an hour in the first, less by 600 an hour each year.
    function emission(uint256 slot) external view returns (uint256);

    /// @notice What a node may claim for a slot now. What would exceed the pool's cap is left out.
    function reward(uint256 slot, address node) external view returns (uint256);

    /// @notice A node's unclaimed slots in [fromSlot, toSlot), its credit, and its deposits in the jobs named.
    function incentives(address node, bytes16[] calldata jobIds, uint256 fromSlot, uint256 toSlot)
        external
        view
        returns (Incentives memory);

    /// @notice Whose books say what was burnt.
    function core() external view returns (IEmethCore);
    /// @notice What rewards are minted in.
    function token() external view returns (IEmethToken);
    /// @notice Says where a node's rewards go.
    function registry() external view returns (INodeRegistry);
    /// @notice Most that a job brings its node, in basis points of what it burnt.
    function SHARE_BPS() external view returns (uint256);
    /// @notice The slot that emits most: the day of the deployment.
    function firstSlot() external view returns (uint256);
    /// @notice All that this pool will ever mint, in wei.
    function cap() external view returns (uint256);
    /// @notice What it has minted, in wei.
    function minted() external view returns (uint256);
}
