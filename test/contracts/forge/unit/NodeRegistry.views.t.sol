// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ExactTransfer} from "../../../../src/contracts/ExactTransfer.sol";
import {INodeRegistry} from "../../../../src/contracts/interfaces/INodeRegistry.sol";
import {HostileToken} from "../HostileToken.sol";
import {vm} from "../Vm.sol";
import {Deploy} from "../Deployed.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract NodeRegistry_constructor_Tree is RegistryFixture {
    function test_ItKeepsTheEscrowItsTokenAndTheLeastStake() external view {
        _equal(address(registry.core()), address(core), "core");
        _equal(address(registry.token()), address(token), "token");
        _equal(registry.minStake(), MIN_STAKE, "least stake");
    }

    function test_ItNamesItselfToSigners() external view {
        (, string memory name, string memory version, uint256 chainId, address verifying,,) = registry.eip712Domain();
        _equal(keccak256(bytes(name)), keccak256("NodeRegistry"), "name");
        _equal(keccak256(bytes(version)), keccak256("1"), "version");
        _equal(chainId, block.chainid, "chain");
        _equal(verifying, address(registry), "verifying contract");
    }

    function test_ItStartsWithoutNodes() external {
        _equal(Deploy.registry(address(core), address(token), 0).nodeCount(), 0, "node count");
    }
}

contract NodeRegistry_nodeOf_Tree is RegistryFixture {
    function test_WhenTheNodeWasNeverRegistered_ItShowsNothingButItsAddress() external view {
        INodeRegistry.Node memory expected;
        expected.node = member;
        _isShown(expected);
    }

    function test_WhenTheNodeIsRegistered_ItShowsAllOfIt() external {
        _join();
        _isShown(_fresh());
    }

    function test_WhenTheNodeHasLeft_ItShowsStatusNONEAndNoStake() external {
        _join();
        _part();
        INodeRegistry.Node memory expected = _fresh();
        (expected.status, expected.stake) = (INodeRegistry.Status.NONE, 0);
        _isShown(expected);
    }
}

contract NodeRegistry_nodeCount_Tree is RegistryFixture {
    function test_ItCountsEveryNodeThatEverRegisteredOnce() external {
        _equal(registry.nodeCount(), 1, "before");
        _join();
        _equal(registry.nodeCount(), 2, "after");
        _part();
        _equal(registry.nodeCount(), 2, "after it left");
    }
}

contract NodeRegistry_nodesFrom_Tree is RegistryFixture {
    function setUp() public override {
        super.setUp();
        _registerAll();
    }

    function test_WhenThePageEndsBeforeTheLastNode_ItHasAsManyAsWereAskedFor() external view {
        _pages(1, 3, 3);
    }

    function test_WhenThePageReachesBeyondTheLastNode_ItHasThoseThatAreLeft() external view {
        _pages(3, type(uint256).max, 2);
    }

    function test_WhenThePageBeginsBeyondTheLastNode_ItIsEmpty() external view {
        _pages(COUNT, 1, 0);
        _pages(type(uint256).max, type(uint256).max, 0);
    }

    function test_WhenNoneAreAskedFor_ItIsEmpty() external view {
        _pages(0, 0, 0);
    }
}

contract NodeRegistryPagesFuzzTest is RegistryFixture {
    function setUp() public override {
        super.setUp();
        _registerAll();
    }

    function testFuzz_everyPageIsACutOfTheList(uint256 index, uint256 count) external view {
        if (index % 2 == 0) index = index / 2 % 8;
        if (count % 2 == 0) count = count / 2 % 8;
        uint256 expected = 0;
        for (uint256 i = 0; i < COUNT; ++i) if (i >= index && i - index < count) ++expected;
        _pages(index, count, expected);
    }
}

/// @notice A payout change to the second, and stakes in a token that misbehaves.
contract NodeRegistryFuzzTest is RegistryFixture {
    function testFuzz_aPayoutChangeOpensAtItsSecond(uint40 begin, uint32 waited) external {
        _join();
        _wait(begin % 3650 days);
        uint256 opensAt = _now() + 2 days;
        _propose(stranger);
        // Half of the runs are within a few seconds of the decisive moment.
        _wait(waited % 2 == 0 ? waited % 4 days : 2 days - 4 + waited % 8);
        (bool done, bytes memory answer) = _send(stranger, abi.encodeCall(registry.confirmPayout, (member)));
        require(done == (_now() >= opensAt), "confirmed at the wrong time");
        if (!done) _equal(keccak256(answer), keccak256(_tooEarly(opensAt)), "error");
        _equal(registry.payoutOf(member), done ? stranger : memberPayout, "payout");
    }

    function testFuzz_aStakeIsFreeAtItsSecond(uint40 begin, uint32 waited) external {
        _join();
        _wait(begin % 3650 days);
        uint256 unbondsAt = _now() + 7 days;
        _leave();
        _wait(waited % 2 == 0 ? waited % 14 days : 7 days - 4 + waited % 8);
        (bool done, bytes memory answer) = _send(owner, abi.encodeCall(registry.withdrawStake, (member)));
        require(done == (_now() >= unbondsAt), "taken out at the wrong time");
        if (!done) _equal(keccak256(answer), keccak256(_tooEarly(unbondsAt)), "error");
        _has(owner, done ? FUNDS : FUNDS - STAKE);
    }

    function test_aTokenThatTakesAFeePaysNoStake() external {
        HostileToken hostile = _moveToHostile();
        hostile.misbehave(HostileToken.Mode.TAKES_A_FEE, address(0), "");
        bytes memory refusal = abi.encodeWithSelector(ExactTransfer.TransferFellShort.selector, STAKE - 1, STAKE);
        _rejects(owner, _joining(), refusal);
        _equal(registry.nodeCount(), 0, "node count");
    }

    function test_aTokenThatAnswersFalsePaysNoStake() external {
        HostileToken hostile = _moveToHostile();
        bytes memory refusal = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, hostile);
        hostile.misbehave(HostileToken.Mode.ANSWERS_FALSE, address(0), "");
        _rejects(owner, _joining(), refusal);
        hostile.misbehave(HostileToken.Mode.KIND, address(0), "");
        _join();
        _leave();
        _wait(7 days);
        hostile.misbehave(HostileToken.Mode.ANSWERS_FALSE, address(0), "");
        _rejects(owner, abi.encodeCall(registry.withdrawStake, (member)), refusal);
        _equal(registry.nodeOf(member).stake, STAKE, "stake");
    }

    function test_whileAStakeMovesNoOtherMoves() external {
        HostileToken hostile = _moveToHostile();
        _ownedByTheToken(hostile);
        bytes[2] memory inner = [
            abi.encodeCall(registry.addStake, (member, 0)), abi.encodeCall(registry.withdrawStake, (address(hostile)))
        ];
        for (uint256 i = 0; i < 2; ++i) {
            hostile.misbehave(HostileToken.Mode.REENTERS, address(registry), inner[i]);
            vm.prank(owner);
            registry.addStake(member, 1e18);
            require(!hostile.reentered(), "entered again from an added stake");
        }
        _leave();
        _wait(7 days);
        hostile.misbehave(HostileToken.Mode.REENTERS, address(registry), inner[1]);
        vm.prank(owner);
        registry.withdrawStake(member);
        require(!hostile.reentered(), "entered again from a withdrawal");
        _equal(hostile.balanceOf(address(registry)), MIN_STAKE, "the token's own stake");
    }

    /// @dev Another registry for a token that may misbehave; it reports nothing to the escrow.
    function _moveToHostile() private returns (HostileToken hostile) {
        hostile = new HostileToken();
        registry = Deploy.registry(address(core), address(hostile), MIN_STAKE);
        hostile.mint(owner, FUNDS);
        vm.prank(owner);
        hostile.approve(address(registry), type(uint256).max);
        _createOrganisation(owner, "second");
        vm.label(address(hostile), "hostile");
    }

    /// @dev The token is a node itself and could withdraw its stake from within a transfer if no guard
    /// prevented that.
    function _ownedByTheToken(HostileToken hostile) private {
        _join();
        hostile.mint(address(hostile), MIN_STAKE);
        vm.prank(address(hostile));
        hostile.approve(address(registry), MIN_STAKE);
        _registerNode(address(hostile), _createOrganisation(address(hostile), "token"), stranger);
        vm.prank(address(hostile));
        registry.deactivate(address(hostile));
        _wait(7 days);
    }
}
