// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IEmethToken} from "./interfaces/IEmethToken.sol";

/// @title EMT, the token of fees and stakes
/// @notice A plain ERC-20 with permits and burning. Its supply is made once; afterwards only the reward pool
/// may mint, once the deployer has named it, and never above the cap.
contract EmethToken is IEmethToken, ERC20, ERC20Burnable, ERC20Permit {
    /// @inheritdoc IEmethToken
    uint256 public immutable cap;
    /// @inheritdoc IEmethToken
    address public deployer;
    /// @inheritdoc IEmethToken
    address public rewardPool;

    constructor(address holder, uint256 supply, uint256 cap_) ERC20("Emeth", "EMT") ERC20Permit("Emeth") {
        // Check: the supply is within the cap, and the cap within the 120 bits of an amount in the escrow.
        if (supply > cap_ || cap_ > type(uint120).max) revert EmethToken_CapExceeded(0, supply, cap_);
        // Effect: the supply is made.
        cap = cap_;
        deployer = msg.sender;
        _mint(holder, supply);
    }

    /// @inheritdoc IEmethToken
    function nameRewardPool(address pool) external {
        // Check: the caller is the deployer, who may do this once.
        if (msg.sender != deployer) revert EmethToken_NotDeployer(msg.sender);
        // Effect: the right is used up.
        deployer = address(0);
        rewardPool = pool;
        emit RewardPoolNamed(pool);
    }

    /// @inheritdoc IEmethToken
    function mint(address to, uint256 amount) external {
        // Check: the caller is the reward pool, and the supply stays within the cap.
        if (msg.sender != rewardPool) revert EmethToken_NotRewardPool(msg.sender);
        if (totalSupply() + amount > cap) revert EmethToken_CapExceeded(totalSupply(), amount, cap);
        // Effect: the tokens are minted.
        _mint(to, amount);
    }
}
