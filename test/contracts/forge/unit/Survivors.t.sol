// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {IRewardPool} from "../../../../src/contracts/interfaces/IRewardPool.sol";
import {HostileToken} from "../HostileToken.sol";
import {vm} from "../Vm.sol";
import {Deploy} from "../Deployed.sol";
import {EscrowFixture} from "./EscrowFixture.sol";
import {PoolFixture} from "./PoolFixture.sol";

/// @notice No function that moves tokens can be entered from within another. Each test calls back with a call
/// that works at any other time, so only the guard can refuse it.
contract SurvivorsReentryTest is EscrowFixture {
    bytes32 private constant WITHDRAWAL =
        keccak256("Withdrawal(address account,address to,uint256 amount,uint256 tip,uint256 nonce,uint256 deadline)");

    HostileToken private hostile;

    function setUp() public override {
        super.setUp();
        hostile = new HostileToken();
        core = Deploy.core(address(hostile), admin, _firstTerms(), _firstVerifiers(), address(0));
        registry = Deploy.registry(address(core), address(hostile), MIN_STAKE);
        address[3] memory accounts = [requester, node, challenger];
        for (uint256 i = 0; i < accounts.length; ++i) {
            hostile.mint(accounts[i], FUNDS);
            vm.prank(accounts[i]);
            hostile.approve(address(core), type(uint256).max);
            vm.prank(accounts[i]);
            hostile.approve(address(registry), type(uint256).max);
        }
        _createOrganisation(node, "first");
    }

    function test_anotherDepositWorksBetweenTransfers() external {
        vm.prank(address(hostile));
        core.deposit(address(hostile), 0);
        _registerNode(node, organisation, nodePayout);
        vm.prank(address(hostile));
        registry.addStake(node, 0);
    }

    function test_nothingComesInFromARequest() external {
        bytes memory data = abi.encodeCall(core.request, (DATASET, PARAMS, FEE, FUEL, uint40(_now()) + WORK, bytes32(0)));
        _letsNothingIn(requester, data);
    }

    function test_nothingComesInWhenAJobIsTaken() external {
        _letsNothingIn(node, abi.encodeCall(core.process, (_requested())));
    }

    function test_nothingComesInFromAChallenge() external {
        _letsNothingIn(challenger, abi.encodeCall(core.challenge, (_submitted())));
    }

    function test_nothingComesInFromADepositOrAWithdrawal() external {
        _letsNothingIn(node, abi.encodeCall(core.deposit, (node, 5e18)));
        _letsNothingIn(node, abi.encodeCall(core.withdraw, (node, 3e18)));
        bytes32 content = keccak256(abi.encode(WITHDRAWAL, node, node, 1e18, 1e18, 0, _now()));
        bytes memory signature = _sign(NODE_KEY, _digest(content));
        bytes memory data = abi.encodeCall(core.withdrawWithSig, (node, node, 1e18, 1e18, _now(), signature));
        _letsNothingIn(stranger, data);
    }

    function test_nothingComesInFromABurn() external {
        _verified();
        _letsNothingIn(stranger, abi.encodeCall(core.burn, (node)));
    }

    function test_nothingComesInFromAStake() external {
        _misbehave(address(registry), abi.encodeCall(registry.addStake, (node, 0)));
        // The node is registered by then, without which the call back could not work.
        _registerNode(node, organisation, nodePayout);
        require(!hostile.reentered(), "entered again from a registration");
        vm.prank(node);
        registry.addStake(node, 1e18);
        require(!hostile.reentered(), "entered again from a stake");
        vm.prank(node);
        registry.deactivate(node);
        _wait(7 days);
        // The stake is gone by then, but the call back would work for any node.
        _misbehave(address(registry), abi.encodeCall(registry.addStake, (_another(), 0)));
        vm.prank(node);
        registry.withdrawStake(node);
        require(!hostile.reentered(), "entered again from a withdrawal");
    }

    /// @dev A second node, registered while the token is kind.
    function _another() private returns (address) {
        hostile.misbehave(HostileToken.Mode.KIND, address(0), "");
        _createOrganisation(challenger, "second");
        _registerNode(challenger, keccak256("second"), challenger);
        return challenger;
    }

    function _letsNothingIn(address caller, bytes memory data) private {
        _misbehave(address(core), abi.encodeCall(core.deposit, (address(hostile), 0)));
        vm.prank(caller);
        (bool done,) = address(core).call(data);
        require(done, "the call itself failed");
        require(!hostile.reentered(), "entered again");
        hostile.misbehave(HostileToken.Mode.KIND, address(0), "");
    }

    function _misbehave(address target, bytes memory data) private {
        hostile.misbehave(HostileToken.Mode.REENTERS, target, data);
    }
}

/// @notice Mistakes that a mutation once got past all other tests.
contract SurvivorsTest is PoolFixture {
    function test_requestTellsVerifierFeeAndBurntPartApart() external {
        _burning(1000);
        uint40 deadline = uint40(_now()) + WORK;
        bytes32 spec = keccak256(abi.encode(keccak256(bytes(DATASET)), keccak256(bytes(PARAMS)), FEE, FUEL, deadline));
        bytes16 job = core.computeJobId(requester, 0, spec);
        _emits();
        emit IEmethCore.JobRequested(job, requester, FEE, 50e18, 100e18, FUEL, deadline, 1, DATASET, PARAMS);
        _request(0);
    }

    function test_aClaimLeavesTheOthersClaimed() external {
        bytes16 job = _verified();
        _pay(job, 0);
        _pay(job, 1);
        bytes memory refusal = abi.encodeWithSelector(IEmethCore.EmethCore_AlreadyClaimed.selector, job, 0);
        _refuses(worker1, _payCall(job, 0), refusal);
    }

    function test_aClaimOfOneDayLeavesTheOthersClaimed() external {
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 1);
        _burnBy(node, FUEL_USED, 1);
        _toDay(FIRST + 2);
        _claim(node, _slots(FIRST));
        _claim(node, _slots(FIRST + 1));
        _findsNothing(node, _slots(FIRST));
        _findsNothing(node, _slots(FIRST + 1));
    }

    function test_aClaimOfTwoDaysTellsOfEach() external {
        _burnBy(node, FUEL_USED, 0);
        _toDay(FIRST + 1);
        _burnBy(node, FUEL, 1);
        _toDay(FIRST + 2);
        uint256[] memory slots = new uint256[](2);
        (slots[0], slots[1]) = (FIRST, FIRST + 1);
        vm.expectEmit(address(pool));
        emit IRewardPool.SlotClaimed(node, FIRST, nodePayout, 24e18);
        vm.expectEmit(address(pool));
        emit IRewardPool.SlotClaimed(node, FIRST + 1, nodePayout, 40e18);
        _claim(node, slots);
    }

    function _pay(bytes16 job, uint256 index) private {
        (bool done,) = address(core).call(_payCall(job, index));
        require(done, "the claim failed");
    }

    function _payCall(bytes16 job, uint256 index) private view returns (bytes memory) {
        IEmethCore.Payee[] memory payees = _payees();
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = _leaf(1 - index, payees[1 - index].worker, payees[1 - index].amount);
        IEmethCore.Payee memory payee = payees[index];
        return abi.encodeCall(core.claimPay, (job, RESULT, _root(), index, payee.worker, payee.amount, proof));
    }
}
