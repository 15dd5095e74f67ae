// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {Core, Deploy} from "../Deployed.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

contract EmethCore_views_Tree is EscrowFixture {
    function test_Jobs_WhenThereNeverWasOne_ItShowsNothing() external view {
        IEmethCore.Job memory nothing;
        _isJob("never", nothing);
    }

    function test_Jobs_WhenItWaitsForAVerdict_ItShowsTheEndOfTheWindowByTheJobsOwnTerms() external {
        bytes16 job = _submitted();
        uint256 end = _now() + VERDICT_WINDOW;
        IEmethCore.Terms memory next = _firstTerms();
        next.verdictWindow = 2 days;
        core.setTerms(next);
        _equal(core.jobs(job).deadline, end, "end of the window");
        _wait(5);
        _challenge(job);
        _equal(core.jobs(job).deadline, end + 5, "end of the dispute");
    }

    function test_Terms_ItShowsEachByItsNumberAndNothingForOneToCome() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.quorum = 9;
        core.setTerms(next);
        IEmethCore.Terms memory nothing;
        _equal(keccak256(abi.encode(core.terms(0))), keccak256(abi.encode(_firstTerms())), "first");
        _equal(keccak256(abi.encode(core.terms(1))), keccak256(abi.encode(next)), "second");
        _equal(keccak256(abi.encode(core.terms(2))), keccak256(abi.encode(nothing)), "third");
    }

    function test_Credit_ItShowsWhatIsOwed() external {
        _equal(core.credit(stranger), 0, "credit");
        vm.prank(stranger);
        core.deposit(stranger, 3);
        _equal(core.credit(stranger), 3, "credit");
    }

    function test_Forfeited_ItShowsWhatIsLostUntilItIsBurnt() external {
        _reject(_submitted());
        _equal(core.forfeited(node), PENALTY - VERIFIER_FEE, "forfeited");
        core.burn(node);
        _equal(core.forfeited(node), 0, "forfeited");
    }

    function test_IsActive_ItShowsWhatTheRegistrySays() external {
        require(core.isActive(node), "the node is not active");
        require(!core.isActive(stranger), "a stranger is active");
        vm.prank(node);
        registry.deactivate(node);
        require(!core.isActive(node), "the node is still active");
    }

    function test_SlotBurnt_ItSumsAllNodesOfADay() external {
        core.setRegistry(address(0));
        _verified();
        _verifiedBy(stranger);
        _equal(core.slotBurnt(_now() / 86_400), 2 * BURNT, "sum");
    }

    function test_SlotBurntBy_ItKeepsNodesAndDaysApart() external {
        core.setRegistry(address(0));
        uint256 day = _now() / 86_400;
        _verified();
        vm.warp((day + 1) * 86_400 - 1);
        _verifiedBy(stranger);
        vm.warp((day + 1) * 86_400);
        bytes16 job = _request(2);
        _process(job);
        _submit(job);
        _verify(job);
        _equal(core.slotBurntBy(day, node), BURNT, "the node's first day");
        _equal(core.slotBurntBy(day, stranger), BURNT, "the stranger's");
        _equal(core.slotBurntBy(day + 1, node), BURNT, "the node's second day");
        _equal(core.slotBurntBy(day + 1, stranger), 0, "the stranger's second day");
        _equal(core.slotBurnt(day), 2 * BURNT, "the first day");
        _equal(core.slotBurnt(day + 1), BURNT, "the second day");
    }

    function test_ComputeJobId_ItDiffersByRequesterSaltAndContent() external view {
        bytes16 id = core.computeJobId(requester, 0, "spec");
        require(id != core.computeJobId(stranger, 0, "spec"), "requester");
        require(id != core.computeJobId(requester, bytes32(uint256(1)), "spec"), "salt");
        require(id != core.computeJobId(requester, 0, "other"), "content");
    }

    function test_ComputeJobId_ItDiffersByChainAndContract() external {
        bytes16 id = core.computeJobId(requester, 0, "spec");
        Core other = Deploy.core(address(token), admin, _firstTerms(), _firstVerifiers(), address(0));
        require(id != other.computeJobId(requester, 0, "spec"), "contract");
        vm.chainId(4_711);
        require(id != core.computeJobId(requester, 0, "spec"), "chain");
    }

    function test_ComputeJobId_ItIsTheIdThatRequestGives() external {
        uint40 deadline = uint40(_now()) + WORK;
        bytes32 spec = keccak256(abi.encode(keccak256(bytes(DATASET)), keccak256(bytes(PARAMS)), FEE, FUEL, deadline));
        bytes16 id = core.computeJobId(requester, bytes32(uint256(8)), spec);
        _equal(id, _idOf(requester, 8, FEE, FUEL, deadline), "by the specification");
        _equal(id, _request(8), "by request");
    }

    function test_Commit_ItIsTheStartOfTheHashOfBoth() external view {
        bytes32 whole = keccak256(bytes.concat(bytes32("result"), bytes32("root")));
        _equal(core.commit("result", "root"), bytes20(whole), "commitment");
    }

    function test_Token_ItIsTheToken() external view {
        _equal(address(core.token()), address(token), "token");
    }

    function test_Registry_ItIsTheRegistry() external view {
        _equal(core.registry(), address(registry), "registry");
    }

    function test_RegistryNumber_ItCountsRegistries() external {
        _equal(core.registryNumber(), 1, "first");
        core.setRegistry(address(registry));
        _equal(core.registryNumber(), 2, "second");
    }

    function test_CurrentTerms_ItCountsTerms() external {
        _equal(core.currentTerms(), 0, "first");
        core.setTerms(_firstTerms());
        _equal(core.currentTerms(), 1, "second");
    }

    function test_Paused_ItSaysWhether() external {
        require(!core.paused(), "paused at first");
        _pause();
        require(core.paused(), "not paused");
    }

    function test_VERIFIERROLE_ItIsTheHashOfItsName() external view {
        _equal(core.VERIFIER_ROLE(), keccak256("VERIFIER_ROLE"), "role");
    }

    function test_PAUSERROLE_ItIsTheHashOfItsName() external view {
        _equal(core.PAUSER_ROLE(), keccak256("PAUSER_ROLE"), "role");
    }

    /// @dev Makes the usual job, done by another node.
    function _verifiedBy(address other) private {
        bytes16 job = _request(1);
        vm.prank(other);
        core.process(job);
        vm.prank(other);
        core.submit(job, RESULT, FUEL_USED, _root(), "r");
        _verify(job);
    }
}
