// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {INodeRegistry} from "../../../../src/contracts/interfaces/INodeRegistry.sol";
import {vm} from "../Vm.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract NodeRegistry_proposePayout_Tree is RegistryFixture {
    function setUp() public override {
        super.setUp();
        _join();
    }

    function test_WhenTheNodeIsNotRegistered_ItRevertsWithWrongStatus() external {
        _rejects(owner, abi.encodeCall(registry.proposePayout, (stranger, owner)), _notRegistered(stranger));
    }

    function test_WhenTheCallerIsNotTheOperator_GivenItIsTheNode_ItRevertsWithNotOperator() external {
        _rejects(member, abi.encodeCall(registry.proposePayout, (member, member)), _notOperator(member, member));
    }

    function test_WhenTheCallerIsNotTheOperator_GivenItIsThePresentWallet_ItRevertsWithNotOperator() external {
        bytes memory data = abi.encodeCall(registry.proposePayout, (member, memberPayout));
        _rejects(memberPayout, data, _notOperator(member, memberPayout));
    }

    function test_WhenNoWalletIsNamed_ItRevertsWithNoPayout() external {
        bytes memory refusal = abi.encodeWithSelector(INodeRegistry.NodeRegistry_NoPayout.selector, member);
        _rejects(owner, abi.encodeCall(registry.proposePayout, (member, address(0))), refusal);
    }

    function test_WhenTheOperatorNamesAWallet_GivenNoneWasProposed_ItWaitsTwoDaysAndThePresentOneStays() external {
        _proposes(stranger, START + 2 days);
    }

    function test_WhenTheOperatorNamesAWallet_GivenAnotherWasProposed_TheTwoDaysBeginAnew() external {
        _propose(challenger);
        _wait(1 days);
        _proposes(stranger, START + 3 days);
        _wait(1 days);
        _rejects(challenger, abi.encodeCall(registry.confirmPayout, (member)), _notNext(challenger));
    }

    function test_WhenTheOperatorNamesAWallet_GivenTheNodeIsUnbonding_ItWaitsTwoDaysAllTheSame() external {
        _leave();
        _propose(stranger);
        _equal(registry.nodeOf(member).nextPayout, stranger, "next payout");
        _equal(registry.nodeOf(member).payoutOpensAt, START + 2 days, "opens at");
    }

    function _proposes(address payout, uint256 opensAt) private {
        _tells();
        emit INodeRegistry.PayoutProposed(member, payout, uint40(opensAt));
        _propose(payout);
        _proposed(payout, opensAt);
    }
}

contract NodeRegistry_confirmPayout_Tree is RegistryFixture {
    function setUp() public override {
        super.setUp();
        _join();
    }

    function test_WhenNothingWasProposed_ItRevertsWithNotNextPayout() external {
        _rejects(owner, abi.encodeCall(registry.confirmPayout, (member)), _notNext(owner));
    }

    function test_WhenTheCallerIsNotTheProposedWallet_ItRevertsWithNotNextPayout() external {
        _propose(stranger);
        _wait(2 days);
        _rejects(owner, abi.encodeCall(registry.confirmPayout, (member)), _notNext(owner));
    }

    function test_WhenASecondIsMissing_ItRevertsWithTooEarly() external {
        _propose(stranger);
        _wait(2 days - 1);
        _rejects(stranger, abi.encodeCall(registry.confirmPayout, (member)), _tooEarly(START + 2 days));
    }

    function test_WhenTheTimeHasCome_ItBecomesThePayoutWalletOnce() external {
        _propose(stranger);
        _wait(2 days);
        _tells();
        emit INodeRegistry.PayoutChanged(member, stranger);
        vm.prank(stranger);
        registry.confirmPayout(member);
        INodeRegistry.Node memory expected = _fresh();
        expected.payout = stranger;
        _isShown(expected);
        _equal(registry.payoutOf(member), stranger, "payout");
        _rejects(stranger, abi.encodeCall(registry.confirmPayout, (member)), _notNext(stranger));
    }
}

contract NodeRegistry_cancelPayoutChange_Tree is RegistryFixture {
    function setUp() public override {
        super.setUp();
        _join();
    }

    function test_WhenTheCallerIsNeitherTheOperatorNorThePresentWallet_ItRevertsWithNotOperator() external {
        _propose(stranger);
        _rejects(stranger, abi.encodeCall(registry.cancelPayoutChange, (member)), _notOperator(member, stranger));
        _rejects(member, abi.encodeCall(registry.cancelPayoutChange, (member)), _notOperator(member, member));
    }

    function test_WhenTheOperatorCalls_ItCallsTheChangeOff() external {
        _cancels(owner);
    }

    function test_WhenThePresentWalletCalls_ItCallsTheChangeOff() external {
        _cancels(memberPayout);
    }

    function test_WhenNothingWasProposed_ItChangesNothing() external {
        vm.prank(memberPayout);
        registry.cancelPayoutChange(member);
        _isShown(_fresh());
    }

    function _cancels(address by) private {
        _propose(stranger);
        _wait(2 days);
        _tells();
        emit INodeRegistry.PayoutChangeCanceled(member);
        vm.prank(by);
        registry.cancelPayoutChange(member);
        _isShown(_fresh());
        _rejects(stranger, abi.encodeCall(registry.confirmPayout, (member)), _notNext(stranger));
    }
}

contract NodeRegistry_payoutOf_Tree is RegistryFixture {
    function setUp() public override {
        super.setUp();
        _join();
    }

    function test_WhenTheNodeWasNeverRegistered_ItIsZero() external view {
        _equal(registry.payoutOf(stranger), address(0), "payout");
    }

    function test_WhenTheNodeIsRegistered_ItIsItsWallet() external view {
        _equal(registry.payoutOf(member), memberPayout, "payout");
    }

    function test_WhenTheNodeHasLeft_ItIsStillItsWalletToWhichRewardsOfPastDaysGo() external {
        _part();
        _equal(registry.payoutOf(member), memberPayout, "payout");
    }
}

contract NodeRegistry_setCapability_Tree is RegistryFixture {
    bytes32 private constant NEXT = keccak256("one card");

    function test_WhenTheNodeIsNotRegistered_ItRevertsWithWrongStatus() external {
        _rejects(member, _setting(member, ""), _notRegistered(member));
    }

    function test_WhenTheCallerIsNeitherTheNodeNorItsOperator_ItRevertsWithNotOperator() external {
        _rejects(owner, _setting(node, ""), _notOperator(node, owner));
    }

    function test_WhenTheURIIsTooLong_ItRevertsWithUriTooLong() external {
        bytes memory refusal = abi.encodeWithSelector(INodeRegistry.NodeRegistry_UriTooLong.selector, 257);
        _rejects(node, _setting(node, string(new bytes(257))), refusal);
    }

    function test_WhenTheURIIsAsLongAsItMayBe_ItChangesWhatIsOffered() external {
        _join();
        _sets(owner, string(new bytes(256)));
    }

    function test_WhenTheOperatorCalls_ItChangesWhatIsOfferedAndNothingElse() external {
        _join();
        _sets(owner, "ipfs://next");
    }

    function test_WhenTheNodeCalls_ItChangesWhatIsOfferedAndNothingElse() external {
        _join();
        _sets(member, "");
    }

    function _sets(address by, string memory uri) private {
        _tells();
        emit INodeRegistry.CapabilityChanged(member, NEXT, uri, 1);
        (bool done,) = _send(by, _setting(member, uri));
        require(done, "the change was refused");
        INodeRegistry.Node memory expected = _fresh();
        (expected.capabilityHash, expected.capabilityUri, expected.computeUnits) = (NEXT, uri, 1);
        _isShown(expected);
    }

    function _setting(address account, string memory uri) private view returns (bytes memory) {
        return abi.encodeCall(registry.setCapability, (account, NEXT, uri, 1));
    }
}
