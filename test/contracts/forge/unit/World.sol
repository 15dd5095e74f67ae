// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmethToken} from "../../../../src/contracts/EmethToken.sol";
import {NodeRegistry} from "../../../../src/contracts/NodeRegistry.sol";
import {RewardPool} from "../../../../src/contracts/RewardPool.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {Core, Deploy} from "../Deployed.sol";
import {Fixture} from "./Fixture.sol";

/// @notice The four contracts as `deployContracts` of src/chain/deploy/deploy.ts leaves them, with a
/// registered node and accounts that have tokens. The contract that deploys it becomes the escrow's
/// administrator and gets the rest of the supply.
/// @dev This takes long to compile, so it is compiled once and not again into each test contract.
contract World is Fixture {
    constructor(address[] memory verifiers, IEmethCore.Terms memory terms) {
        vm.warp(START);
        token = Deploy.token(address(this), SUPPLY, CAP);
        address expected = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        core = Deploy.core(address(token), msg.sender, terms, verifiers, expected);
        registry = Deploy.registry(address(core), address(token), MIN_STAKE);
        pool = Deploy.pool(address(core), address(token), address(registry), CAP - SUPPLY);
        token.nameRewardPool(address(pool));
        require(address(registry) == expected, "the registry is not where the escrow expects it");
        address[4] memory funded = [requester, node, challenger, stranger];
        for (uint256 i = 0; i < funded.length; ++i) _fund(funded[i]);
        token.transfer(msg.sender, token.balanceOf(address(this)));
        _registerNode(node, _createOrganisation(node, "first"), nodePayout);
    }

    function contracts() external view returns (EmethToken, Core, NodeRegistry, RewardPool) {
        return (token, core, registry, pool);
    }

    /// @notice Makes a job and brings it to a state.
    function jobIn(IEmethCore.State state, uint256 salt) external returns (bytes16 job) {
        if (state == IEmethCore.State.NONE) return bytes16(uint128(salt));
        job = _request(salt);
        if (state == IEmethCore.State.REQUESTED) return job;
        if (state == IEmethCore.State.CANCELED) {
            vm.prank(requester);
            core.cancel(job);
            return job;
        }
        if (state == IEmethCore.State.TIMEOUT) {
            _wait(WORK + 1);
            core.expire(job);
            return job;
        }
        _process(job);
        if (state == IEmethCore.State.PROCESSING) return job;
        if (state == IEmethCore.State.DECLINED) {
            _wait(WORK);
            vm.prank(node);
            core.decline(job);
            return job;
        }
        _submit(job);
        _judge(job, state);
    }

    function _judge(bytes16 job, IEmethCore.State state) private {
        if (state == IEmethCore.State.SUBMITTED) return;
        if (state == IEmethCore.State.VERIFIED) return _verify(job);
        if (state == IEmethCore.State.FAILED) return _reject(job);
        _challenge(job);
        if (state == IEmethCore.State.DISPUTED) return;
        _wait(VERDICT_WINDOW + 1);
        core.unwind(job);
    }
}
