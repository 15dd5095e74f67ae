// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IRewardPool} from "../../../../src/contracts/interfaces/IRewardPool.sol";
import {vm} from "../Vm.sol";
import {Deploy} from "../Deployed.sol";
import {PoolFixture} from "./PoolFixture.sol";

contract RewardPool_constructor_Tree is PoolFixture {
    function test_ItKeepsWhatItWasGiven() external view {
        _equal(address(pool.core()), address(core), "core");
        _equal(address(pool.token()), address(token), "token");
        _equal(address(pool.registry()), address(registry), "registry");
        _equal(pool.cap(), 900_000_000e18, "cap");
    }

    function test_ItBeginsOnTheDayItWasDeployed() external view {
        _equal(pool.firstSlot(), FIRST, "first slot");
        _equal(pool.minted(), 0, "minted");
        _equal(pool.SHARE_BPS(), 8000, "share");
    }
}

contract RewardPool_emission_Tree is PoolFixture {
    function test_WhenTheSlotIsBeforeTheFirst_ItIsZero() external view {
        _equal(pool.emission(FIRST - 1), 0, "emission");
        _equal(pool.emission(0), 0, "emission");
    }

    function test_WhenTheSlotIsTheFirst_ItIs12000TokensAnHour() external view {
        _equal(pool.emission(FIRST), 288_000e18, "emission");
    }

    function test_WhenTheSlotIsTheSecond_ItIsLessByA365thOf600AnHour() external view {
        _equal(pool.emission(FIRST + 1), 287_960_547945205479452055, "emission");
    }

    function test_WhenAYearHasPassed_ItIs11400TokensAnHour() external view {
        _equal(pool.emission(FIRST + 365), 273_600e18, "emission");
    }

    function test_WhenTwentyYearsHaveNearlyPassed_ItIsADaysFallOnTheLastDay() external view {
        _equal(pool.emission(FIRST + 7299), 39_452054794520547946, "emission");
    }

    function test_WhenTwentyYearsHavePassed_ItIsZeroForEver() external view {
        _equal(pool.emission(FIRST + 7300), 0, "emission");
        _equal(pool.emission(FIRST + 7301), 0, "emission");
        _equal(pool.emission(1e40), 0, "emission");
    }
}

contract RewardPool_reward_Tree is PoolFixture {
    function test_WhenTheSlotIsNotClosed_ItIsZeroUntilItsLastSecond() external {
        _burnBy(node, FUEL_USED, 0);
        vm.warp((FIRST + 1) * 1 days - 1);
        _equal(pool.reward(FIRST, node), 0, "reward");
        _equal(pool.reward(NEVER, node), 0, "reward of a day that never comes");
        _toDay(FIRST + 1);
        _equal(pool.reward(FIRST, node), BOUND, "reward once it is closed");
    }

    function test_WhenTheNodeBurntNothingInIt_ItIsZero() external {
        _burnBy(node, FUEL_USED, 0);
        _burnBy(rival, 0, 1);
        _toDay(FIRST + 2);
        _equal(pool.reward(FIRST, rival), 0, "reward");
        _equal(pool.reward(FIRST, stranger), 0, "reward of a stranger");
        _equal(pool.reward(FIRST + 1, node), 0, "reward of another day");
    }

    function test_WhenItWasClaimed_ItIsZeroForThatNodeAlone() external {
        _burnBy(node, FUEL_USED, 0);
        _burnBy(rival, FUEL_USED, 1);
        _toDay(FIRST + 1);
        _claim(node, _slots(FIRST));
        _equal(pool.reward(FIRST, node), 0, "reward");
        _equal(pool.reward(FIRST, rival), BOUND, "reward of the other");
    }

    function test_WhenTheSlotEmitsPlenty_ItIs80OfWhatTheNodesJobsBurnt() external {
        _burnBy(node, FUEL_USED, 0);
        _burnBy(node, FUEL, 1);
        _burnBy(rival, 1, 2);
        _toDay(FIRST + 1);
        _equal(pool.reward(FIRST, node), 64e18, "reward");
        // A millionth of the fuel burns 50e12.
        _equal(pool.reward(FIRST, rival), 40e12, "reward of the other");
    }

    function test_WhenTheSlotEmitsLess_ItIsSharedByWhatTheNodesJobsBurnt() external {
        // The last day that emits anything emits 39.452054794520547946.
        _toDay(FIRST + 7299);
        _burnBy(node, FUEL_USED, 0);
        _burnBy(rival, FUEL, 1);
        _toDay(FIRST + 7300);
        _equal(pool.reward(FIRST + 7299, node), 14_794520547945205479, "reward");
        _equal(pool.reward(FIRST + 7299, rival), 24_657534246575342466, "reward of the other");
    }

    function test_WhenTheSlotEmitsNothing_ItIsZero() external {
        _toDay(FIRST + 7300);
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 7301);
        _equal(pool.reward(FIRST + 7300, node), 0, "reward");
    }

    function test_WhenLessIsLeftUnderTheCap_ItIsWhatIsLeft() external {
        _small(BOUND - 1);
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 1);
        _equal(pool.reward(FIRST, node), BOUND - 1, "reward");
    }
}

contract RewardPool_claimSlots_Tree is PoolFixture {
    function test_WhenNoSlotHasAReward_GivenNoneIsNamed_ItRevertsWithNothingToClaim() external {
        _findsNothing(node, new uint256[](0));
    }

    function test_WhenNoSlotHasAReward_GivenTheSlotIsNotClosed_ItRevertsWithNothingToClaim() external {
        _burnBy(node, FUEL_USED, 0);
        _findsNothing(node, _slots(FIRST));
    }

    function test_WhenNoSlotHasAReward_GivenAnotherNodesJobsBurnt_ItRevertsWithNothingToClaim() external {
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 1);
        _findsNothing(rival, _slots(FIRST));
    }

    function test_WhenNoSlotHasAReward_GivenItWasClaimed_ItRevertsWithNothingToClaim() external {
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 1);
        _claim(node, _slots(FIRST));
        _findsNothing(node, _slots(FIRST));
        _equal(pool.minted(), BOUND, "minted");
    }

    function test_WhenASlotHasAReward_GivenTheNodeIsRegistered_ItMintsToItsPayoutWallet() external {
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 1);
        _claimsTo(node, nodePayout);
        _has(nodePayout, BOUND);
        _equal(token.totalSupply(), SUPPLY + BOUND, "supply");
    }

    function test_WhenASlotHasAReward_GivenTheWalletChangedSince_ItMintsToTheNewOne() external {
        _burnBy(node, FUEL_USED, 0);
        vm.prank(node);
        registry.proposePayout(node, worker1);
        _wait(2 days);
        vm.prank(worker1);
        registry.confirmPayout(node);
        _claimsTo(node, worker1);
        _has(worker1, BOUND);
        _has(nodePayout, 0);
    }

    function test_WhenASlotHasAReward_GivenTheNodeIsRegisteredNowhere_ItMintsToTheNode() external {
        core.setRegistry(address(0));
        _burnBy(stranger, FUEL_USED, 0);
        _toDay(FIRST + 1);
        uint256 before = token.balanceOf(stranger);
        _claimsTo(stranger, stranger);
        _has(stranger, before + BOUND);
    }

    function test_WhenASlotHasAReward_GivenItIsNamedTwice_ItPaysOnce() external {
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 1);
        uint256[] memory slots = new uint256[](2);
        (slots[0], slots[1]) = (FIRST, FIRST);
        _equal(_claim(node, slots), BOUND, "amount");
        _has(nodePayout, BOUND);
    }

    function test_WhenASlotHasAReward_GivenOthersHaveNone_ItPassesThoseOver() external {
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 2);
        _burnBy(node, FUEL, 1);
        uint256[] memory slots = new uint256[](5);
        (slots[0], slots[1], slots[2], slots[3], slots[4]) = (FIRST - 1, FIRST + 1, FIRST, FIRST + 2, NEVER);
        _equal(_claim(node, slots), BOUND, "amount");
        _toDay(FIRST + 3);
        _equal(_claim(node, slots), 40e18, "amount of the next claim");
        _equal(pool.minted(), 64e18, "minted");
    }

    function test_WhenASlotHasAReward_GivenASlot256DaysLaterWasClaimed_ItPaysBoth() external {
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 256);
        _burnBy(node, FUEL_USED, 1);
        _toDay(FIRST + 257);
        _equal(_claim(node, _slots(FIRST + 256)), BOUND, "amount of the later one");
        _equal(_claim(node, _slots(FIRST)), BOUND, "amount of the earlier one");
    }

    function test_WhenLessIsLeftUnderTheCap_GivenSomethingIsLeft_ItMintsWhatIsLeft() external {
        _small(BOUND + 5e18);
        _burnBy(node, FUEL_USED, 0);
        _burnBy(rival, FUEL_USED, 1);
        _toDay(FIRST + 1);
        _equal(_claim(node, _slots(FIRST)), BOUND, "amount of the first");
        _equal(_claim(rival, _slots(FIRST)), 5e18, "amount of the second");
        _equal(pool.minted(), pool.cap(), "minted");
        _equal(token.totalSupply(), BOUND + 5e18, "supply");
    }

    function test_WhenLessIsLeftUnderTheCap_GivenNothingIsLeft_ItRevertsWithNothingToClaim() external {
        _small(0);
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 1);
        _findsNothing(node, _slots(FIRST));
    }

    function _claimsTo(address by, address to) private {
        vm.expectEmit(address(pool));
        emit IRewardPool.SlotClaimed(by, FIRST, to, BOUND);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(address(0), to, BOUND);
        _equal(_claim(by, _slots(FIRST)), BOUND, "amount");
        _equal(pool.minted(), BOUND, "minted");
    }
}

contract RewardPool_incentives_Tree is PoolFixture {
    function test_WhenRewardsWait_ItListsTheirSlotsInOrder() external {
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 3);
        _burnBy(node, FUEL, 1);
        _toDay(FIRST + 5);
        IRewardPool.Incentives memory found = _found(FIRST, FIRST + 9);
        _equal(found.slots.length, 2, "slots");
        _equal(found.rewards.length, 2, "rewards");
        _equal(found.slots[0], FIRST, "first slot");
        _equal(found.slots[1], FIRST + 3, "second slot");
        _equal(found.rewards[0], BOUND, "first reward");
        _equal(found.rewards[1], 40e18, "second reward");
    }

    function test_WhenASlotLiesAtTheEndsAskedFor_ItHasTheFirstAndLeavesOutTheLast() external {
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 1);
        _equal(_found(FIRST, FIRST + 1).slots.length, 1, "from the slot on");
        _equal(_found(FIRST + 1, FIRST + 2).slots.length, 0, "after the slot");
        _equal(_found(FIRST - 1, FIRST).slots.length, 0, "up to the slot");
        _equal(_found(FIRST + 1, FIRST).slots.length, 0, "the wrong way round");
    }

    function test_WhenARewardWasClaimed_ItLeavesItOut() external {
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 1);
        _claim(node, _slots(FIRST));
        _equal(_found(FIRST, FIRST + 9).slots.length, 0, "slots");
    }

    function test_WhenTheNodeHasCredit_ItShowsIt() external {
        _burnBy(node, FUEL_USED, 0);
        _equal(_found(0, 0).credit, FEE, "credit");
    }

    function test_WhenTheNodeHoldsJobs_ItSumsTheDepositsThatAreLocked() external {
        bytes16[] memory jobs = _jobs();
        IRewardPool.Incentives memory found = pool.incentives(node, jobs, 0, 0);
        // One in work, one submitted, one disputed; not those that wait, ended, or are the rival's.
        _equal(found.lockedDeposits, 3 * uint256(FEE), "locked deposits");
        _equal(pool.incentives(rival, jobs, 0, 0).lockedDeposits, FEE, "locked deposits of the other");
        _equal(pool.incentives(stranger, jobs, 0, 0).lockedDeposits, 0, "locked deposits of a stranger");
    }

    function _jobs() private returns (bytes16[] memory jobs) {
        jobs = new bytes16[](6);
        for (uint256 i = 0; i < 5; ++i) jobs[i] = _request(i);
        for (uint256 i = 0; i < 3; ++i) _process(jobs[i]);
        for (uint256 i = 1; i < 3; ++i) _submit(jobs[i]);
        _challenge(jobs[2]);
        vm.prank(rival);
        core.process(jobs[3]);
        jobs[5] = _burnBy(node, FUEL_USED, 5);
    }

    function _found(uint256 from, uint256 to) private view returns (IRewardPool.Incentives memory) {
        return pool.incentives(node, new bytes16[](0), from, to);
    }
}
