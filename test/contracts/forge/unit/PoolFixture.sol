// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {IRewardPool} from "../../../../src/contracts/interfaces/IRewardPool.sol";
import {vm} from "../Vm.sol";
import {Deploy} from "../Deployed.sol";
import {Fixture} from "./Fixture.sol";
import {World} from "./World.sol";

/// @notice Shared by the tests of the reward pool: jobs that burn, by two nodes, on days counted from the
/// first.
abstract contract PoolFixture is Fixture {
    /// @dev The day of START, in Unix days.
    uint256 internal constant FIRST = 20_833;
    /// @dev 80 % of what a job of the fixture burns.
    uint256 internal constant BOUND = 24e18;
    uint256 internal constant NEVER = type(uint256).max;

    address internal rival = address(0x21A);
    address internal rivalPayout = address(0x21B);

    function setUp() public virtual {
        World world = new World(_firstVerifiers(), _firstTerms());
        (token, core, registry, pool) = world.contracts();
        _fund(rival);
        _registerNode(rival, _createOrganisation(rival, "rival"), rivalPayout);
    }

    /// @dev A job that the requester accepts at once; with all its fuel used it burns 50, by the default
    /// terms.
    function _burnBy(address by, uint40 fuelUsed, uint256 salt) internal returns (bytes16 job) {
        job = _request(salt);
        vm.prank(by);
        core.process(job);
        vm.prank(by);
        core.submit(job, RESULT, fuelUsed, RESULT, "result");
        vm.prank(requester);
        core.accept(job);
    }

    /// @dev To the first second of a day.
    function _toDay(uint256 slot) internal {
        vm.warp(slot * 1 days);
    }

    function _slots(uint256 slot) internal pure returns (uint256[] memory slots) {
        slots = new uint256[](1);
        slots[0] = slot;
    }

    function _claim(address by, uint256[] memory slots) internal returns (uint256) {
        vm.prank(by);
        return pool.claimSlots(slots);
    }

    function _findsNothing(address by, uint256[] memory slots) internal {
        bytes memory refusal = abi.encodeWithSelector(IRewardPool.RewardPool_NothingToClaim.selector, by);
        _refuses(address(pool), by, abi.encodeCall(pool.claimSlots, (slots)), refusal);
    }

    /// @dev The terms of the fixture with another burnt part.
    function _burning(uint16 burnBps) internal {
        IEmethCore.Terms memory terms = _firstTerms();
        terms.burnBps = burnBps;
        core.setTerms(terms);
    }

    /// @dev Another token and pool, with so small a cap that it binds.
    function _small(uint256 cap) internal {
        token = Deploy.token(address(this), 0, 1e30);
        pool = Deploy.pool(address(core), address(token), address(registry), cap);
        token.nameRewardPool(address(pool));
    }
}
