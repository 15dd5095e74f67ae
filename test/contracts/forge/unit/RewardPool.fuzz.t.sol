// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PoolFixture} from "./PoolFixture.sol";

/// @notice The emission compared with a plain formula, and the bounds of rewards on any day.
contract RewardPoolFuzzTest is PoolFixture {
    /// @dev 12,000 tokens an hour less 600 an hour each year, in 365ths of a wei, rounded up; nothing once
    /// that is below zero.
    function testFuzz_theCurveIsThePlainFormula(uint256 day) external view {
        // Half of the runs are within the years that emit, the others anywhere.
        day = day % 2 == 0 ? day % 7310 : day % 1e30;
        uint256 whole = 12_000 * 24 * 365 * 1e18;
        uint256 fallen = 600 * 24 * 1e18 * day;
        uint256 expected = fallen >= whole ? 0 : (whole - fallen + 364) / 365;
        _equal(pool.emission(FIRST + day), expected, "emission");
    }

    function testFuzz_theCurveNeverRises(uint256 slot) external view {
        slot = slot % 2 == 0 ? FIRST - 2 + slot % 7310 : slot % 1e30;
        uint256 today = pool.emission(slot);
        require(today <= 288_000e18, "more than in the first slot");
        if (slot >= FIRST) require(pool.emission(slot + 1) <= today, "more than the day before");
    }

    function testFuzz_rewardsKeepTheirBounds(uint40 mine, uint40 rivals, uint16 day, uint16 burnBps) external {
        _burning(uint16(burnBps % 2001));
        // The last ten days that emit anything, and those after, are where sharing binds.
        uint256 slot = day % 2 == 0 ? FIRST + day : FIRST + 7290 + day % 12;
        _toDay(slot);
        _burnBy(node, mine % (FUEL + 1), 0);
        _burnBy(rival, rivals % (FUEL + 1), 1);
        _toDay(slot + 1);
        uint256 first = _checked(node, slot, mine % (FUEL + 1), burnBps % 2001);
        uint256 second = _checked(rival, slot, rivals % (FUEL + 1), burnBps % 2001);
        require(first + second <= pool.emission(slot), "more than the slot emits");
        if (first > 0) _equal(_claim(node, _slots(slot)), first, "amount of the first");
        if (second > 0) _equal(_claim(rival, _slots(slot)), second, "amount of the second");
        _equal(pool.minted(), first + second, "minted");
    }

    /// @dev At most 80 % of what was burnt, which is the plain product of fee, fuel and rate; and no less
    /// than both bounds allow.
    function _checked(address by, uint256 slot, uint256 fuelUsed, uint256 burnBps) private view returns (uint256 part) {
        part = pool.reward(slot, by);
        uint256 burnt = 1000e18 * fuelUsed / 1_000_000 * burnBps / 10_000;
        _equal(core.slotBurntBy(slot, by), burnt, "burnt");
        require(part * 10 <= burnt * 8, "more than 80 % of what was burnt");
        uint256 all = core.slotBurnt(slot);
        if (burnt == 0) return part;
        require(part * all <= pool.emission(slot) * burnt, "more than its share");
        bool isAllBurntAllows = (part + 1) * 10 > burnt * 8;
        bool isAllItsShare = (part + 1) * all > pool.emission(slot) * burnt;
        require(isAllBurntAllows || isAllItsShare, "less than it earned");
    }
}
