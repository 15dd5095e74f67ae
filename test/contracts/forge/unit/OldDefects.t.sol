// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {RewardPool} from "../../../../src/contracts/RewardPool.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {IRewardPool} from "../../../../src/contracts/interfaces/IRewardPool.sol";
import {HostileToken} from "../HostileToken.sol";
import {vm} from "../Vm.sol";
import {Core, Deploy} from "../Deployed.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

/// @notice A token that reads the pool's storage while it mints.
contract CuriousToken {
    RewardPool public pool;
    uint256 public seen = type(uint256).max;
    uint256 public minted;
    uint256 private _slot;
    address private _node;

    function watch(RewardPool pool_, uint256 slot, address node) external {
        (pool, _slot, _node) = (pool_, slot, node);
    }

    function mint(address, uint256 amount) external {
        minted += amount;
        seen = pool.reward(_slot, _node);
    }
}

/// @notice Defects of the contracts of 2021 and 2023, tried on these. Each test is named after the defect
/// that it would find.
contract OldDefectsTest is EscrowFixture {
    function test_timeoutPaysNobodyAndLocksTheEscrow() external {
        bytes16 job = _processing();
        _wait(WORK + 1);
        vm.prank(stranger);
        core.timeout(job);
        _withdrawAll(requester);
        _withdrawAll(node);
        _withdrawAll(stranger);
        _has(requester, FUNDS);
        _has(node, FUNDS - MIN_STAKE - PENALTY);
        _has(stranger, FUNDS + TIP);
        core.burn(node);
        _has(address(core), 0);
    }

    function test_rejectRefundsOnlyTheUsedPart() external {
        bytes16 job = _processing();
        vm.prank(node);
        core.submit(job, RESULT, 0, _root(), "garbage");
        _reject(job);
        _booked(requester, LOCKED, 0);
    }

    function test_garbageWithoutFuelCostsTheNodeNothing() external {
        bytes16 job = _processing();
        vm.prank(node);
        core.submit(job, RESULT, 0, _root(), "garbage");
        _reject(job);
        _withdrawAll(node);
        _has(node, FUNDS - MIN_STAKE - PENALTY);
    }

    function test_selfDealtJobAtPriceZeroMintsADaysReward() external {
        bytes memory data = abi.encodeCall(core.request, (DATASET, PARAMS, 0, FUEL, uint40(_now()) + WORK, bytes32(0)));
        _refuses(node, data, abi.encodeWithSelector(IEmethCore.EmethCore_FeeTooLow.selector, 0, 1e18));
        IEmethCore.Terms memory free = _firstTerms();
        free.minFee = 0;
        data = abi.encodeCall(core.setTerms, (free));
        bytes4 refusal = IEmethCore.EmethCore_TermsOutOfBounds.selector;
        _refuses(admin, data, abi.encodeWithSelector(refusal, bytes32("minFee"), 0, 1, 1_000_000e18));
    }

    function test_selfDealtJobEarnsMoreThanItCosts() external {
        uint256 before = token.balanceOf(node);
        uint256 slot = _selfDeal(FUEL);
        _withdrawAll(node);
        vm.prank(node);
        pool.claimSlots(_one(slot));
        // The node gets the whole reward of the day, which is still less than what the job burnt.
        _equal(token.balanceOf(node) + token.balanceOf(nodePayout), before - 10e18, "what washing costs");
    }

    function test_selfDealtJobWithoutFuelEarnsAReward() external {
        _equal(pool.reward(_selfDeal(0), node), 0, "reward");
    }

    function test_noExitIfTheVerifierDisappears() external {
        (bytes16 submitted, bytes16 disputed) = (_submitted(), _request(1));
        _process(disputed);
        _submit(disputed);
        _challenge(disputed);
        core.revokeRole(core.VERIFIER_ROLE(), verifier);
        _wait(VERDICT_WINDOW + 1);
        vm.prank(stranger);
        core.finalize(submitted);
        vm.prank(stranger);
        core.unwind(disputed);
        _booked(requester, 2 * LOCKED - PAYOUT - BURNT, 0);
        _booked(node, 2 * uint256(FEE), BURNT);
        _booked(challenger, PENALTY, 0);
    }

    function test_anybodyCanSquatAJobId() external {
        uint40 deadline = uint40(_now()) + WORK;
        // Copied from the mempool and sent first, unchanged.
        vm.prank(stranger);
        bytes16 squatted = core.request(DATASET, PARAMS, FEE, FUEL, deadline, 0);
        bytes16 job = _request(0);
        require(job != squatted, "the id was taken");
        _equal(core.jobs(job).requester, requester, "requester");
        _equal(core.jobs(squatted).requester, stranger, "squatter");
    }

    function test_processPullsMoreThanApproved() external {
        bytes16 job = _requested();
        vm.prank(node);
        token.approve(address(core), FEE);
        _process(job);
        _has(node, FUNDS - MIN_STAKE - FEE);
        _equal(token.allowance(node, address(core)), 0, "allowance");
    }

    function test_depositIsNeverReturnedAfterHonestWork() external {
        _verified();
        _withdrawAll(node);
        _has(node, FUNDS - MIN_STAKE);
    }

    function test_onlyTheVerifierCanTimeOutOrSettle() external {
        (bytes16 open, bytes16 late, bytes16 done) = (_request(0), _request(1), _request(2));
        _process(late);
        _process(done);
        _submit(done);
        _wait(WORK + 1);
        vm.prank(stranger);
        core.expire(open);
        vm.prank(stranger);
        core.timeout(late);
        vm.prank(stranger);
        core.finalize(done);
        _inState(open, IEmethCore.State.TIMEOUT);
        _inState(late, IEmethCore.State.TIMEOUT);
        _inState(done, IEmethCore.State.VERIFIED);
    }

    function test_feeBelowTheVerifierFeeRevertsVerify() external {
        IEmethCore.Terms memory terms = _firstTerms();
        terms.minFee = 1;
        core.setTerms(terms);
        vm.prank(requester);
        bytes16 job = core.request(DATASET, PARAMS, 1, 1, uint40(_now()) + WORK, 0);
        _process(job);
        vm.prank(node);
        core.submit(job, RESULT, 1, _root(), "r");
        _verify(job);
        _equal(core.jobs(job).payout, 1, "payout");
        _booked(verifier, 0, 0);
    }

    function test_penaltiesStayInside() external {
        (bytes16 declined, bytes16 late) = (_request(0), _request(1));
        _process(declined);
        _process(late);
        vm.prank(node);
        core.decline(declined);
        vm.prank(requester);
        core.cancel(declined);
        bytes16 bad = _request(2);
        _process(bad);
        _submit(bad);
        _reject(bad);
        _wait(WORK + 1);
        core.timeout(late);
        uint256 supply = token.totalSupply();
        core.burn(node);
        _equal(supply - token.totalSupply(), DECLINE_PENALTY + (PENALTY - VERIFIER_FEE) + (PENALTY - TIP), "burnt");
        _withdrawAll(requester);
        _withdrawAll(node);
        _withdrawAll(verifier);
        _withdrawAll(address(this));
        _has(address(core), 0);
    }

    function test_slotRewardIsMintedBeforeItIsCleared() external {
        CuriousToken curious = new CuriousToken();
        RewardPool watched = Deploy.pool(address(core), address(curious), address(registry), CAP);
        _verified();
        uint256 slot = _now() / 1 days;
        _wait(1 days);
        curious.watch(watched, slot, node);
        vm.prank(node);
        watched.claimSlots(_one(slot));
        _equal(curious.minted(), 24e18, "minted");
        _equal(curious.seen(), 0, "what could be claimed again while it was minted");
    }

    function test_slotRewardIsPaidTwice() external {
        _verified();
        uint256 slot = _now() / 1 days;
        _wait(1 days);
        uint256[] memory twice = new uint256[](2);
        (twice[0], twice[1]) = (slot, slot);
        vm.prank(node);
        _equal(pool.claimSlots(twice), 24e18, "reward");
        bytes memory refusal = abi.encodeWithSelector(IRewardPool.RewardPool_NothingToClaim.selector, node);
        _refuses(address(pool), node, abi.encodeCall(pool.claimSlots, (twice)), refusal);
        _has(nodePayout, 24e18);
    }

    function test_resultsOfTheTokenAreIgnored() external {
        HostileToken hostile = new HostileToken();
        Core other = Deploy.core(address(hostile), admin, _firstTerms(), _firstVerifiers(), address(0));
        hostile.mint(stranger, 1e24);
        vm.prank(stranger);
        hostile.approve(address(other), type(uint256).max);
        vm.prank(stranger);
        other.deposit(stranger, 5e18);
        hostile.misbehave(HostileToken.Mode.ANSWERS_FALSE, address(0), "");
        bytes memory refusal = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, hostile);
        bytes memory job = abi.encodeCall(other.request, (DATASET, PARAMS, FEE, FUEL, uint40(_now()) + WORK, bytes32(0)));
        _refuses(address(other), stranger, job, refusal);
        _refuses(address(other), stranger, abi.encodeCall(other.deposit, (stranger, 1)), refusal);
        _refuses(address(other), stranger, abi.encodeCall(other.withdraw, (stranger, 1)), refusal);
        _equal(other.credit(stranger), 5e18, "credit");
    }

    function test_aNodeClaimsFuelThatWasNeverBought() external {
        bytes16 job = _processing();
        bytes memory data = abi.encodeCall(core.submit, (job, RESULT, type(uint40).max, _root(), "r"));
        bytes memory refusal =
            abi.encodeWithSelector(IEmethCore.EmethCore_FuelAboveLimit.selector, job, type(uint40).max, FUEL);
        _refuses(node, data, refusal);
    }

    function test_theVerifierEarnsOnlyByAccepting() external {
        _verify(_submitted());
        uint256 byAccepting = core.credit(verifier);
        bytes16 bad = _request(1);
        _process(bad);
        _submit(bad);
        _reject(bad);
        _equal(core.credit(verifier), 2 * byAccepting, "what a verifier earns");
    }

    /// @dev The node is its own requester and accepts its own result.
    function _selfDeal(uint40 fuelUsed) private returns (uint256 slot) {
        vm.prank(node);
        bytes16 job = core.request(DATASET, PARAMS, FEE, FUEL, uint40(_now()) + WORK, 0);
        _process(job);
        bytes32 root = _leaf(0, node, FEE);
        vm.prank(node);
        core.submit(job, RESULT, fuelUsed, root, "r");
        vm.prank(node);
        core.accept(job);
        if (fuelUsed > 0) core.claimPay(job, RESULT, root, 0, node, FEE, new bytes32[](0));
        slot = _now() / 1 days;
        _wait(1 days);
    }

    function _withdrawAll(address account) private {
        uint256 owed = core.credit(account);
        vm.prank(account);
        core.withdraw(account, owed);
    }

    function _one(uint256 slot) private pure returns (uint256[] memory slots) {
        slots = new uint256[](1);
        slots[0] = slot;
    }
}
