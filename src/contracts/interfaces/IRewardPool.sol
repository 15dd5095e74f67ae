// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Where penalties go besides those they compensate
/// @notice EmethCore sends penalties to the pool it is given; without one they are burnt.
interface IRewardPool {
    /// @notice Told after `amount` of the token has been transferred to the pool.
    function onPenalty(bytes16 jobId, uint256 amount) external;
}
