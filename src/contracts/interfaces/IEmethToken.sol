// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title What EMT has besides ERC-20, permits and burning
/// @notice One account, the reward pool, may mint, and only up to the cap. Amounts are in wei of the token.
interface IEmethToken {
    /// @notice Somebody names the reward pool who did not deploy the token, or does so a second time.
    error EmethToken_NotDeployer(address caller);
    /// @notice Somebody mints who is not the reward pool.
    error EmethToken_NotRewardPool(address caller);
    /// @notice The amount on top of the supply would exceed the cap; or, at the deployment, the cap is above 2^120 - 1, the most that
    /// the escrow's books hold.
    error EmethToken_CapExceeded(uint256 supply, uint256 amount, uint256 cap);

    /// @notice The deployer has named the only account that may mint from now on. This happens once.
    event RewardPoolNamed(address indexed rewardPool);

    /// @notice The deployer names the reward pool, and by that gives up the right to do so.
    function nameRewardPool(address pool) external;

    /// @notice The reward pool mints a node's rewards to its wallet, up to the cap.
    function mint(address to, uint256 amount) external;

    /// @notice What the supply never exceeds, though burning makes room again.
    function cap() external view returns (uint256);
    /// @notice Who may name the reward pool; zero once that is done: then nobody has any right over the token.
    function deployer() external view returns (address);
    /// @notice The only account that may mint; zero until it is named.
    function rewardPool() external view returns (address);
}
