// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title New tokens for work that was paid for
/// @notice A slot is a day (UTC) of settlement. What a slot emits is shared by what the slot's jobs burnt, and no job brings its node
/// more than `SHARE_BPS` of what it burnt: whoever pays itself for work that nobody wanted loses by it.
interface IRewardPool {
    /// @notice What a node has earned and not yet taken.
    struct Incentives {
        /// In the escrow, to withdraw or to pay with.
        uint256 credit;
        /// Deposits in the given jobs that the node holds.
        uint256 lockedDeposits;
        /// Closed slots with a reward that waits, and the rewards.
        uint256[] slots;
        uint256[] rewards;
    }

    error RewardPool_NothingToClaim(address node);

    event SlotClaimed(address indexed node, uint256 indexed slot, address indexed to, uint256 amount);

    /// @notice Mints the caller's rewards of closed slots to its payout wallet, or to itself if it never was in the registry. Slots that are
    /// not closed, were claimed or brought nothing are passed over.
    /// @return amount What was minted.
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
}
