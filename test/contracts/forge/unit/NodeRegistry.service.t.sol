// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {INodeRegistry} from "../../../../src/contracts/interfaces/INodeRegistry.sol";
import {vm} from "../Vm.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract NodeRegistry_deactivate_Tree is RegistryFixture {
    function setUp() public override {
        super.setUp();
        _join();
    }

    function test_WhenTheCallerIsNeitherTheNodeNorItsOperator_ItRevertsWithNotOperator() external {
        _rejects(memberPayout, abi.encodeCall(registry.deactivate, (member)), _notOperator(member, memberPayout));
    }

    function test_WhenTheNodeIsNotActive_GivenItIsUnbonding_ItRevertsWithWrongStatus() external {
        _leave();
        bytes memory refusal = _wrongStatus(member, INodeRegistry.Status.UNBONDING, INodeRegistry.Status.ACTIVE);
        _rejects(owner, abi.encodeCall(registry.deactivate, (member)), refusal);
    }

    function test_WhenTheNodeIsNotActive_GivenItWasNeverRegistered_ItRevertsWithWrongStatus() external {
        _rejects(stranger, abi.encodeCall(registry.deactivate, (stranger)), _notRegistered(stranger));
    }

    function test_WhenTheNodeIsActive_GivenItsOperatorCalls_ItUnbondsAndTheEscrowKnows() external {
        _deactivates(owner);
    }

    function test_WhenTheNodeIsActive_GivenTheNodeItselfCalls_ItUnbondsAndTheEscrowKnows() external {
        _deactivates(member);
    }

    function test_WhenTheNodeIsActive_GivenItHasAJob_TheJobGoesOn() external {
        bytes16 job = _processing();
        vm.prank(node);
        registry.deactivate(node);
        _submit(job);
        _verify(job);
        _booked(node, FEE, BURNT);
    }

    function test_WhenTheEscrowHasAnotherRegistry_ItUnbondsAllTheSame() external {
        core.setRegistry(address(0xDEAD));
        _leave();
        _isShown(_unbonding());
    }

    function _deactivates(address by) private {
        _tells();
        emit INodeRegistry.NodeDeactivated(member, uint40(START + 7 days));
        _andTheEscrowHears(false);
        vm.prank(by);
        registry.deactivate(member);
        _isShown(_unbonding());
        require(!core.isActive(member), "the escrow does not know");
        _has(address(registry), STAKE + MIN_STAKE);
    }

    function _unbonding() private view returns (INodeRegistry.Node memory expected) {
        expected = _fresh();
        (expected.status, expected.unbondsAt) = (INodeRegistry.Status.UNBONDING, uint40(START + 7 days));
    }
}

contract NodeRegistry_reactivate_Tree is RegistryFixture {
    function setUp() public override {
        super.setUp();
        _join();
    }

    function test_WhenTheCallerIsNotTheOperator_GivenItIsTheNode_ItRevertsWithNotOperator() external {
        _leave();
        _rejects(member, abi.encodeCall(registry.reactivate, (member)), _notOperator(member, member));
    }

    function test_WhenTheCallerIsNotTheOperator_GivenItIsAStranger_ItRevertsWithNotOperator() external {
        _leave();
        _rejects(stranger, abi.encodeCall(registry.reactivate, (member)), _notOperator(member, stranger));
    }

    function test_WhenTheNodeIsActive_ItRevertsWithWrongStatus() external {
        bytes memory refusal = _wrongStatus(member, INodeRegistry.Status.ACTIVE, INodeRegistry.Status.UNBONDING);
        _rejects(owner, abi.encodeCall(registry.reactivate, (member)), refusal);
    }

    function test_WhenTheNodeHasTakenItsStakeOut_ItRevertsWithWrongStatus() external {
        _part();
        bytes memory refusal = _wrongStatus(member, INodeRegistry.Status.NONE, INodeRegistry.Status.UNBONDING);
        _rejects(owner, abi.encodeCall(registry.reactivate, (member)), refusal);
    }

    function test_WhenTheNodeIsUnbonding_GivenTheStakeIsStillBound_ItServesAgainAndTheEscrowKnows() external {
        _leave();
        _reactivates();
    }

    function test_WhenTheNodeIsUnbonding_GivenTheStakeCouldBeTakenOut_ItServesAgainAndTheEscrowKnows() external {
        _leave();
        _wait(8 days);
        _reactivates();
        _rejects(
            owner,
            abi.encodeCall(registry.withdrawStake, (member)),
            _wrongStatus(member, INodeRegistry.Status.ACTIVE, INodeRegistry.Status.UNBONDING)
        );
    }

    function _reactivates() private {
        _tells();
        emit INodeRegistry.NodeReactivated(member);
        _andTheEscrowHears(true);
        vm.prank(owner);
        registry.reactivate(member);
        _isShown(_fresh());
        require(core.isActive(member), "the escrow does not know");
    }
}

contract NodeRegistry_withdrawStake_Tree is RegistryFixture {
    function setUp() public override {
        super.setUp();
        _join();
    }

    function test_WhenTheCallerIsNotTheOperator_ItRevertsWithNotOperator() external {
        _leave();
        _wait(7 days);
        _rejects(member, abi.encodeCall(registry.withdrawStake, (member)), _notOperator(member, member));
    }

    function test_WhenTheNodeIsActive_ItRevertsWithWrongStatus() external {
        bytes memory refusal = _wrongStatus(member, INodeRegistry.Status.ACTIVE, INodeRegistry.Status.UNBONDING);
        _rejects(owner, abi.encodeCall(registry.withdrawStake, (member)), refusal);
    }

    function test_WhenTheStakeWasTakenOut_ItRevertsWithWrongStatus() external {
        _part();
        bytes memory refusal = _wrongStatus(member, INodeRegistry.Status.NONE, INodeRegistry.Status.UNBONDING);
        _rejects(owner, abi.encodeCall(registry.withdrawStake, (member)), refusal);
    }

    function test_WhenTheNodeIsUnbonding_GivenASecondIsMissing_ItRevertsWithTooEarly() external {
        _leave();
        _wait(7 days - 1);
        _rejects(owner, abi.encodeCall(registry.withdrawStake, (member)), _tooEarly(START + 7 days));
    }

    function test_WhenTheNodeIsUnbonding_GivenItLeftAndCameBackInBetween_ItCountsFromTheLastTime() external {
        _leave();
        _wait(6 days);
        vm.prank(owner);
        registry.reactivate(member);
        _leave();
        _wait(6 days);
        _rejects(owner, abi.encodeCall(registry.withdrawStake, (member)), _tooEarly(START + 13 days));
    }

    function test_WhenTheTimeHasCome_ItPaysTheWholeStakeToTheOperator() external {
        vm.prank(stranger);
        registry.addStake(member, 3e18);
        _leave();
        _wait(7 days);
        _withdraws(STAKE + 3e18);
        _has(owner, FUNDS + 3e18);
    }

    function test_WhenTheEscrowHasAnotherRegistry_ItPaysTheStakeAllTheSame() external {
        core.setRegistry(address(0xDEAD));
        _leave();
        _wait(7 days);
        _withdraws(STAKE);
        _has(owner, FUNDS);
    }

    function _withdraws(uint256 amount) private {
        _tells();
        emit INodeRegistry.StakeWithdrawn(member, owner, amount);
        _andTokensMove(address(registry), owner, amount);
        vm.prank(owner);
        registry.withdrawStake(member);
        INodeRegistry.Node memory expected = _fresh();
        (expected.status, expected.stake) = (INodeRegistry.Status.NONE, 0);
        _isShown(expected);
        _has(address(registry), MIN_STAKE);
    }
}

contract NodeRegistry_addStake_Tree is RegistryFixture {
    function test_WhenTheNodeIsNotRegistered_ItRevertsWithWrongStatus() external {
        _rejects(stranger, abi.encodeCall(registry.addStake, (member, 1)), _notRegistered(member));
    }

    function test_WhenTheCallerHasTooFewTokens_ItRevertsWithERC20InsufficientBalance() external {
        uint96 amount = uint96(FUNDS) + 1;
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, stranger, FUNDS, amount);
        _rejects(stranger, abi.encodeCall(registry.addStake, (node, amount)), refusal);
    }

    function test_WhenTheNodeIsActive_ItAddsToTheStakeWhoeverPays() external {
        _join();
        _adds(INodeRegistry.Status.ACTIVE, 0);
    }

    function test_WhenTheNodeIsUnbonding_ItAddsToTheStakeAndTheTimeStays() external {
        _join();
        _leave();
        _adds(INodeRegistry.Status.UNBONDING, uint40(START + 7 days));
    }

    function _adds(INodeRegistry.Status status, uint40 unbondsAt) private {
        _tells();
        emit INodeRegistry.StakeAdded(member, stranger, 5e18);
        _andTokensMove(stranger, address(registry), 5e18);
        vm.prank(stranger);
        registry.addStake(member, 5e18);
        INodeRegistry.Node memory expected = _fresh();
        (expected.status, expected.unbondsAt, expected.stake) = (status, unbondsAt, 17e18);
        _isShown(expected);
        _has(stranger, FUNDS - 5e18);
    }
}

contract NodeRegistry_sync_Tree is RegistryFixture {
    function setUp() public override {
        super.setUp();
        _join();
    }

    function test_WhenTheEscrowHasAnotherRegistry_ItSaysNothing() external {
        core.setRegistry(address(0xDEAD));
        registry.sync(member);
        require(!core.isActive(member), "the escrow believed it");
    }

    function test_WhenTheEscrowHasThisRegistryAgain_GivenTheNodeIsActive_ItSaysSo() external {
        _awayAndBack();
        require(!core.isActive(member), "the escrow remembers what an earlier registry said");
        _syncs(true);
    }

    function test_WhenTheEscrowHasThisRegistryAgain_GivenTheNodeLeftMeanwhile_ItSaysSo() external {
        core.setRegistry(address(0xDEAD));
        _leave();
        core.setRegistry(address(registry));
        _syncs(false);
    }

    function test_WhenTheEscrowHasThisRegistryAgain_GivenTheAccountWasNeverRegistered_ItSaysItIsNotActive() external {
        _awayAndBack();
        _emitsFor(stranger);
        registry.sync(stranger);
        require(!core.isActive(stranger), "a stranger may take jobs");
    }

    function _awayAndBack() private {
        core.setRegistry(address(0xDEAD));
        core.setRegistry(address(registry));
    }

    function _syncs(bool active) private {
        _andTheEscrowHears(active);
        vm.prank(stranger);
        registry.sync(member);
        require(core.isActive(member) == active, "the escrow does not know");
    }

    function _emitsFor(address account) private {
        _emits();
        emit IEmethCore.NodeActivityChanged(account, false);
    }
}
