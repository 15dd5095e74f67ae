// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title EMT, the token fees are paid in
/// @notice A plain ERC-20 with permits and burning. Its supply is made once; afterwards only the reward pool may mint, once the
/// deployer has named it, and never above the cap.
contract EmethToken is ERC20, ERC20Burnable, ERC20Permit {
    /// @notice The supply never exceeds this.
    uint256 public immutable cap;
    /// @notice May name the reward pool, once; then nobody has any right over the token.
    address public deployer;
    /// @notice The only account that may mint. Zero until it is named.
    address public rewardPool;

    error EmethToken_NotDeployer(address caller);
    error EmethToken_NotRewardPool(address caller);
    error EmethToken_CapExceeded(uint256 supply, uint256 amount, uint256 cap);

    event RewardPoolNamed(address indexed rewardPool);

    constructor(address holder, uint256 supply, uint256 cap_) ERC20("Emeth", "EMT") ERC20Permit("Emeth") {
        // The escrow's books have 120 bits for an amount.
        if (supply > cap_ || cap_ > type(uint120).max) revert EmethToken_CapExceeded(0, supply, cap_);
        cap = cap_;
        deployer = msg.sender;
        _mint(holder, supply);
    }

    /// @notice Names the reward pool and gives up the right to do so.
    function nameRewardPool(address pool) external {
        if (msg.sender != deployer) revert EmethToken_NotDeployer(msg.sender);
        deployer = address(0);
        rewardPool = pool;
        emit RewardPoolNamed(pool);
    }

    /// @notice Mints rewards, up to the cap.
    function mint(address to, uint256 amount) external {
        if (msg.sender != rewardPool) revert EmethToken_NotRewardPool(msg.sender);
        if (totalSupply() + amount > cap) revert EmethToken_CapExceeded(totalSupply(), amount, cap);
        _mint(to, amount);
    }
}
