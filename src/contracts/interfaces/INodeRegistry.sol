// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Who may take jobs
/// @notice EmethCore asks the registry it is given; without one, every account may take jobs.
interface INodeRegistry {
    /// @notice True when the node is registered and active.
    function isActive(address node) external view returns (bool);
}
