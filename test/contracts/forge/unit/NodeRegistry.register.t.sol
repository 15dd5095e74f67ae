// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {INodeRegistry} from "../../../../src/contracts/interfaces/INodeRegistry.sol";
import {vm} from "../Vm.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract NodeRegistry_register_Tree is RegistryFixture {
    function test_WhenTheCallerDoesNotOwnTheOrganisation_ItRevertsWithNotOwner() external {
        _rejects(member, _joining(), _notOwner(second, member));
    }

    function test_WhenTheNodeIsRegisteredAlready_GivenItIsActive_ItRevertsWithWrongStatus() external {
        _join();
        bytes memory data = _joining();
        _rejects(owner, data, _wrongStatus(member, INodeRegistry.Status.ACTIVE, INodeRegistry.Status.NONE));
    }

    function test_WhenTheNodeIsRegisteredAlready_GivenItIsUnbonding_ItRevertsWithWrongStatus() external {
        _join();
        _leave();
        bytes memory data = _joining();
        _rejects(owner, data, _wrongStatus(member, INodeRegistry.Status.UNBONDING, INodeRegistry.Status.NONE));
    }

    function test_WhenTheStakeIsBelowTheLeast_ItRevertsWithStakeTooLow() external {
        INodeRegistry.Enrolment memory it = _enrolment();
        bytes memory data = _joining(it, MIN_STAKE - 1, _sign(MEMBER_KEY, it, 0));
        _rejects(owner, data, abi.encodeWithSelector(INodeRegistry.NodeRegistry_StakeTooLow.selector, MIN_STAKE - 1, MIN_STAKE));
    }

    function test_WhenNoPayoutWalletIsNamed_ItRevertsWithNoPayout() external {
        INodeRegistry.Enrolment memory it = _enrolment();
        it.payout = address(0);
        bytes memory data = _joining(it, STAKE, _sign(MEMBER_KEY, it, 0));
        _rejects(owner, data, abi.encodeWithSelector(INodeRegistry.NodeRegistry_NoPayout.selector, member));
    }

    function test_WhenTheURIIsTooLong_ItRevertsWithUriTooLong() external {
        INodeRegistry.Enrolment memory it = _enrolment();
        it.capabilityUri = string(new bytes(257));
        bytes memory data = _joining(it, STAKE, _sign(MEMBER_KEY, it, 0));
        _rejects(owner, data, abi.encodeWithSelector(INodeRegistry.NodeRegistry_UriTooLong.selector, 257));
    }

    function test_WhenTheOwnerRegistersAnotherAccount_GivenTheSignatureIsTooOld_ItRevertsWithSignatureExpired() external {
        bytes memory data = _joining();
        uint256 deadline = _now();
        _wait(1);
        _rejects(owner, data, abi.encodeWithSelector(INodeRegistry.NodeRegistry_SignatureExpired.selector, deadline));
    }

    function test_WhenTheOwnerRegistersAnotherAccount_GivenSomebodyElseSigned_ItRevertsWithWrongSignature() external {
        INodeRegistry.Enrolment memory it = _enrolment();
        _rejects(owner, _joining(it, STAKE, _sign(OTHER_KEY, it, 0)), _wrongSignature(vm.addr(OTHER_KEY)));
    }

    function test_WhenTheOwnerRegistersAnotherAccount_GivenTheNodeSignedForAnotherOperator_ItRevertsWithWrongSignature() external {
        INodeRegistry.Enrolment memory it = _enrolment();
        bytes memory data = _joining(it, STAKE, _sign(MEMBER_KEY, it, 0));
        vm.prank(owner);
        registry.offerOrganisation(second, stranger);
        vm.prank(stranger);
        registry.takeOrganisation(second);
        (bool done, bytes memory answer) = _send(stranger, data);
        require(!done && bytes4(answer) == INodeRegistry.NodeRegistry_WrongSignature.selector, "it was registered");
    }

    function test_WhenTheOwnerRegistersAnotherAccount_GivenTheNodeSignedSomethingElse_ItRevertsWithWrongSignature() external {
        for (uint256 field = 0; field < 6; ++field) {
            INodeRegistry.Enrolment memory it = _enrolment();
            bytes memory signature = _sign(MEMBER_KEY, it, 0);
            if (field == 0) it.organisation = _createOrganisation(owner, "third");
            if (field == 1) it.payout = owner;
            if (field == 2) it.capabilityHash = bytes32(0);
            if (field == 3) it.capabilityUri = "";
            if (field == 4) ++it.computeUnits;
            if (field == 5) ++it.deadline;
            _rejects(owner, _joining(it, STAKE, signature), _wrongSignature(_recover(_digest(it, 0), signature)));
        }
    }

    function test_WhenTheOwnerRegistersAnotherAccount_GivenTheSignatureWasUsedBefore_ItRevertsWithWrongSignature() external {
        INodeRegistry.Enrolment memory it = _enrolment();
        it.deadline = _now() + 30 days;
        bytes memory signature = _sign(MEMBER_KEY, it, 0);
        bytes memory data = _joining(it, STAKE, signature);
        (bool done,) = _send(owner, data);
        require(done, "the first registration was refused");
        _part();
        _rejects(owner, data, _wrongSignature(_recover(_digest(it, 1), signature)));
    }

    function test_WhenTheOwnerRegistersAnotherAccount_GivenThereIsNoSignature_ItRevertsWithECDSAInvalidSignatureLength() external {
        bytes memory refusal = abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 0);
        _rejects(owner, _joining(_enrolment(), STAKE, ""), refusal);
    }

    function test_WhenTheOwnerRegistersAnotherAccount_GivenTheNodeSigned_ItRegistersTheNodeAndTakesTheStake() external {
        bytes memory data = _joining();
        _expectRegistration(owner, STAKE);
        (bool done,) = _send(owner, data);
        require(done, "the registration was refused");
        _isShown(_fresh());
        _equal(registry.nonces(member), 1, "nonce");
        _equal(registry.nodeCount(), 2, "node count");
        require(core.isActive(member), "the escrow does not know");
        _has(owner, FUNDS - STAKE);
        _has(address(registry), STAKE + MIN_STAKE);
    }

    function test_WhenTheNodeOwnsTheOrganisation_ItNeedsNoSignature() external {
        vm.prank(owner);
        registry.offerOrganisation(second, member);
        vm.prank(member);
        registry.takeOrganisation(second);
        _fund(member);
        bytes memory data = _joining(_enrolment(), MIN_STAKE, "");
        _expectRegistration(member, MIN_STAKE);
        (bool done,) = _send(member, data);
        require(done, "the registration was refused");
        INodeRegistry.Node memory expected = _fresh();
        (expected.operator, expected.stake) = (member, MIN_STAKE);
        _isShown(expected);
        _equal(registry.nonces(member), 0, "nonce");
    }

    function test_WhenTheURIIsAsLongAsItMayBe_ItRegistersTheNode() external {
        INodeRegistry.Enrolment memory it = _enrolment();
        it.capabilityUri = string(new bytes(256));
        (bool done,) = _send(owner, _joining(it, STAKE, _sign(MEMBER_KEY, it, 0)));
        require(done, "the registration was refused");
        _equal(bytes(registry.nodeOf(member).capabilityUri).length, 256, "length of the URI");
    }

    function test_WhenTheNodeHasBeenHereBefore_GivenAnotherPayoutWalletIsNamed_ItRevertsWithOtherPayout() external {
        _join();
        _part();
        INodeRegistry.Enrolment memory it = _enrolment();
        it.payout = stranger;
        bytes memory data = _joining(it, STAKE, _sign(MEMBER_KEY, it, 1));
        _rejects(owner, data, abi.encodeWithSelector(INodeRegistry.NodeRegistry_OtherPayout.selector, member, memberPayout));
    }

    function test_WhenTheNodeHasBeenHereBefore_GivenItsOwnPayoutWalletIsNamed_ItForgetsTheWalletThatWasProposedAndListsTheNodeOnce()
        external
    {
        _join();
        _propose(stranger);
        _part();
        _join();
        _isShown(_fresh());
        _equal(registry.nodeCount(), 2, "node count");
    }

    function test_WhenTheOwnerHasTooFewTokens_ItRevertsWithERC20InsufficientBalance() external {
        vm.prank(owner);
        token.transfer(stranger, FUNDS - STAKE + 1);
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, owner, STAKE - 1, STAKE);
        _rejects(owner, _joining(), refusal);
        _equal(registry.nodeCount(), 1, "node count");
    }

    function test_WhenTheEscrowHasAnotherRegistry_ItRegistersTheNodeAndTellsTheEscrowNothing() external {
        core.setRegistry(address(0xDEAD));
        _join();
        _isShown(_fresh());
        require(!core.isActive(member), "the escrow was notified");
    }

    function _expectRegistration(address by, uint256 stake) private {
        _tells();
        emit INodeRegistry.NodeRegistered(member, second, by, memberPayout);
        _tells();
        emit INodeRegistry.StakeAdded(member, by, stake);
        _tells();
        emit INodeRegistry.CapabilityChanged(member, CAPABILITY, URI, 16);
        _andTheEscrowHears(true);
        _andTokensMove(by, address(registry), stake);
    }

    function _wrongSignature(address signer) private view returns (bytes memory) {
        return abi.encodeWithSelector(INodeRegistry.NodeRegistry_WrongSignature.selector, signer, member);
    }

    /// @dev The account that the contract recovers from the signature: an unknown one.
    function _recover(bytes32 digest, bytes memory signature) private pure returns (address) {
        (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
        return ecrecover(digest, uint8(signature[64]), r, s);
    }
}
