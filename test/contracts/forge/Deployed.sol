// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAccessControlDefaultAdminRules} from
    "@openzeppelin/contracts/access/extensions/IAccessControlDefaultAdminRules.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {EmethToken} from "../../../src/contracts/EmethToken.sol";
import {NodeRegistry} from "../../../src/contracts/NodeRegistry.sol";
import {RewardPool} from "../../../src/contracts/RewardPool.sol";
import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "./Vm.sol";

/// @notice The escrow as it looks from outside.
/// @dev Tests import this instead of the contract: their imports are compiled with their settings,
/// without the IR, and the escrow has too many variables for that. So they test the code as it is deployed.
interface Core is IEmethCore, IAccessControlDefaultAdminRules, IERC5267 {
    function nonces(address account) external view returns (uint256);
    function multicall(bytes[] calldata calls) external returns (bytes[] memory);
}

/// @dev Deploys contracts from their artifacts, in the name of the contract that uses it.
library Deploy {
    function core(address token_, address admin, IEmethCore.Terms memory terms, address[] memory verifiers, address registry_)
        internal
        returns (Core)
    {
        return Core(vm.deployCode("EmethCore.sol:EmethCore", abi.encode(token_, admin, terms, verifiers, registry_)));
    }

    function token(address holder, uint256 supply, uint256 cap) internal returns (EmethToken) {
        return EmethToken(vm.deployCode("EmethToken.sol:EmethToken", abi.encode(holder, supply, cap)));
    }

    function registry(address core_, address token_, uint96 minStake) internal returns (NodeRegistry) {
        return NodeRegistry(vm.deployCode("NodeRegistry.sol:NodeRegistry", abi.encode(core_, token_, minStake)));
    }

    function pool(address core_, address token_, address registry_, uint256 cap) internal returns (RewardPool) {
        return RewardPool(vm.deployCode("RewardPool.sol:RewardPool", abi.encode(core_, token_, registry_, cap)));
    }
}
