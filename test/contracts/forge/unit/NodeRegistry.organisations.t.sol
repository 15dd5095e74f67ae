// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {INodeRegistry} from "../../../../src/contracts/interfaces/INodeRegistry.sol";
import {vm} from "../Vm.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract NodeRegistry_createOrganisation_Tree is RegistryFixture {
    function test_WhenTheNameIsEmpty_ItRevertsWithWrongName() external {
        _refusesName(0);
    }

    function test_WhenTheNameIsTooLong_ItRevertsWithWrongName() external {
        _refusesName(65);
    }

    function test_WhenTheNameIsTaken_ItRevertsWithOrganisationExists() external {
        bytes memory refusal = abi.encodeWithSelector(INodeRegistry.NodeRegistry_OrganisationExists.selector, second);
        _rejects(stranger, abi.encodeCall(registry.createOrganisation, ("second")), refusal);
        _rejects(owner, abi.encodeCall(registry.createOrganisation, ("second")), refusal);
    }

    function test_WhenTheNameIsFree_ItBelongsToTheCaller() external {
        _creates("third");
    }

    function test_WhenTheNameIsAsLongAsItMayBe_ItBelongsToTheCaller() external {
        _creates(string(new bytes(64)));
    }

    function _creates(string memory name) private {
        bytes32 expected = keccak256(bytes(name));
        _tells();
        emit INodeRegistry.OrganisationCreated(expected, stranger, name);
        _equal(_createOrganisation(stranger, name), expected, "organisation");
        INodeRegistry.Organisation memory made = registry.organisationOf(expected);
        _equal(made.owner, stranger, "owner");
        _equal(made.nextOwner, address(0), "next owner");
        _equal(keccak256(bytes(made.name)), expected, "name");
    }

    function _refusesName(uint256 length) private {
        bytes memory refusal = abi.encodeWithSelector(INodeRegistry.NodeRegistry_WrongName.selector, length);
        _rejects(stranger, abi.encodeCall(registry.createOrganisation, (string(new bytes(length)))), refusal);
    }
}

contract NodeRegistry_offerOrganisation_Tree is RegistryFixture {
    function test_WhenTheCallerDoesNotOwnIt_ItRevertsWithNotOwner() external {
        _rejects(member, abi.encodeCall(registry.offerOrganisation, (second, member)), _notOwner(second, member));
    }

    function test_WhenThereIsNoSuchOrganisation_ItRevertsWithNotOwner() external {
        bytes32 none = keccak256("none");
        _rejects(owner, abi.encodeCall(registry.offerOrganisation, (none, owner)), _notOwner(none, owner));
    }

    function test_WhenTheOwnerOffersIt_GivenNobodyWasNamed_ItNamesWhoMayTakeItAndChangesNothingElse() external {
        _offers(stranger);
    }

    function test_WhenTheOwnerOffersIt_GivenSomebodyWasNamed_ItNamesTheOtherInstead() external {
        _offers(member);
        _offers(stranger);
    }

    function test_WhenTheOwnerOffersIt_GivenItNamesNobody_ItTakesTheOfferBack() external {
        _offers(stranger);
        _offers(address(0));
        bytes memory refusal = abi.encodeWithSelector(INodeRegistry.NodeRegistry_NotNextOwner.selector, second, stranger);
        _rejects(stranger, abi.encodeCall(registry.takeOrganisation, (second)), refusal);
    }

    function _offers(address next) private {
        _tells();
        emit INodeRegistry.OrganisationOffered(second, next);
        vm.prank(owner);
        registry.offerOrganisation(second, next);
        _equal(registry.organisationOf(second).nextOwner, next, "next owner");
        _equal(registry.organisationOf(second).owner, owner, "owner");
    }
}

contract NodeRegistry_takeOrganisation_Tree is RegistryFixture {
    function test_WhenTheCallerWasNotNamed_ItRevertsWithNotNextOwner() external {
        bytes memory refusal = abi.encodeWithSelector(INodeRegistry.NodeRegistry_NotNextOwner.selector, second, owner);
        _rejects(owner, abi.encodeCall(registry.takeOrganisation, (second)), refusal);
    }

    function test_WhenTheCallerWasNamed_GivenTheOrganisationIsEmpty_ItOwnsTheOrganisation() external {
        _takes();
        INodeRegistry.Organisation memory taken = registry.organisationOf(second);
        _equal(taken.owner, stranger, "owner");
        _equal(taken.nextOwner, address(0), "next owner");
        _equal(keccak256(bytes(taken.name)), second, "name");
    }

    function test_WhenTheCallerWasNamed_GivenTheOrganisationHasANode_ItOperatesTheNodeAndGetsItsStake() external {
        _join();
        _takes();
        _rejects(owner, abi.encodeCall(registry.deactivate, (member)), _notOperator(member, owner));
        _equal(registry.nodeOf(member).operator, stranger, "operator");
        vm.prank(stranger);
        registry.deactivate(member);
        _wait(7 days);
        vm.prank(stranger);
        registry.withdrawStake(member);
        _has(stranger, FUNDS + STAKE);
    }

    function _takes() private {
        vm.prank(owner);
        registry.offerOrganisation(second, stranger);
        _tells();
        emit INodeRegistry.OrganisationTaken(second, stranger);
        vm.prank(stranger);
        registry.takeOrganisation(second);
    }
}

contract NodeRegistry_organisationOf_Tree is RegistryFixture {
    function test_WhenItWasFounded_ItShowsOwnerNextOwnerAndName() external {
        vm.prank(owner);
        registry.offerOrganisation(second, stranger);
        bytes memory expected = abi.encode(INodeRegistry.Organisation(owner, stranger, "second"));
        _equal(keccak256(abi.encode(registry.organisationOf(second))), keccak256(expected), "organisation");
    }

    function test_WhenItWasNeverFounded_ItShowsNothing() external view {
        bytes memory expected = abi.encode(INodeRegistry.Organisation(address(0), address(0), ""));
        _equal(keccak256(abi.encode(registry.organisationOf(bytes32(0)))), keccak256(expected), "organisation");
    }
}
