// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {Core, Deploy} from "../Deployed.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

contract EmethCore_setTerms_Tree is EscrowFixture {
    /// @dev The highest that the least fee may be.
    uint96 private constant MOST_FEE = 1_000_000e18;

    /// @dev A value just outside the bounds of a field, and the bounds.
    struct Row {
        string message;
        bytes32 field;
        uint256 value;
        uint256 least;
        uint256 most;
    }

    function test_WhenTheCallerIsNotTheAdministrator_ItRevertsWithAccessControlUnauthorizedAccount() external {
        bytes memory data = abi.encodeCall(core.setTerms, (_firstTerms()));
        _refuses(stranger, data, _unauthorized(stranger, 0));
        _refuses(verifier, data, _unauthorized(verifier, 0));
    }

    function test_WhenAFieldIsOutOfItsBounds_ItRevertsWithTermsOutOfBounds() external {
        Row[15] memory rows = [
            Row("the penalty is above half the fee", "penaltyBps", 5001, 100, 5000),
            Row("the penalty is below a hundredth of the fee", "penaltyBps", 99, 100, 5000),
            Row("the verifier fee is above a quarter of the penalty", "verifierBps", 501, 0, 500),
            Row("declining costs more than the penalty", "declineBps", 2004, 0, 2003),
            Row("the tip is above a tenth", "tipBps", 1001, 0, 1000),
            Row("the burn is above a fifth", "burnBps", 2001, 0, 2000),
            Row("the quorum is zero", "quorum", 0, 1, 16),
            Row("the quorum is above 16", "quorum", 17, 1, 16),
            Row("the least fee is zero", "minFee", 0, 1, MOST_FEE),
            Row("the least fee is above a million tokens", "minFee", MOST_FEE + 1, 1, MOST_FEE),
            Row("the least work is above a day", "minWork", 86_401, 0, 86_400),
            Row("the verdict window is below ten minutes", "verdictWindow", 599, 600, 14 * 86_400),
            Row("the verdict window is above fourteen days", "verdictWindow", 14 * 86_400 + 1, 600, 14 * 86_400),
            Row("the claim window is below seven days", "claimWindow", 7 * 86_400 - 1, 7 * 86_400, 180 * 86_400),
            Row("the claim window is above 180 days", "claimWindow", 180 * 86_400 + 1, 7 * 86_400, 180 * 86_400)
        ];
        for (uint256 i = 0; i < rows.length; ++i) {
            Row memory row = rows[i];
            (bool done, bytes memory answer) = address(core).call(abi.encodeCall(core.setTerms, (_termsWith(row.field, row.value))));
            require(!done, string.concat(row.message, ": the call was not refused"));
            bytes memory refusal = _termsOutOfBounds(row.field, row.value, row.least, row.most);
            require(keccak256(answer) == keccak256(refusal), string.concat(row.message, ": refused with another error"));
        }
        _equal(core.currentTerms(), 0, "number of the terms");
    }

    function test_WhenThereHaveBeen256Terms_ItRevertsWithPanic() external {
        IEmethCore.Terms memory next = _firstTerms();
        for (uint256 i = 1; i < 256; ++i) core.setTerms(next);
        _equal(core.currentTerms(), 255, "number of terms");
        _refuses(admin, abi.encodeCall(core.setTerms, (next)), _overflow());
    }

    function test_WhenTheTermsAreWithinTheBounds_GivenAllAtTheirUpperBounds_ItSetsThemForJobsToCome() external {
        _sets(
            IEmethCore.Terms({
                minFee: MOST_FEE,
                verifierBps: 1250,
                penaltyBps: 5000,
                declineBps: 5000,
                tipBps: 1000,
                burnBps: 2000,
                quorum: 16,
                minWork: 86_400,
                verdictWindow: 14 * 86_400,
                claimWindow: 180 * 86_400
            })
        );
    }

    function test_WhenTheTermsAreWithinTheBounds_GivenAllAtTheirLowerBounds_ItSetsThemForJobsToCome() external {
        _sets(IEmethCore.Terms(1, 0, 100, 0, 0, 0, 1, 0, 600, 7 * 86_400));
        // With no verifier's fee and nothing to burn only the fee is locked.
        vm.prank(requester);
        core.request(DATASET, PARAMS, 1, 1, uint40(_now()), 0);
        _has(address(core), 1);
    }

    function test_WhenTheTermsAreWithinTheBounds_GivenAJobUnderTheTermsBefore_ItChangesNothingForThatJob() external {
        bytes16 job = _submitted();
        uint256 end = _now() + VERDICT_WINDOW;
        core.setTerms(IEmethCore.Terms(1, 0, 100, 0, 0, 0, 3, 0, 600, 7 * 86_400));
        _equal(core.jobs(job).deadline, end, "end of the window");
        _reject(job);
        _booked(node, FEE - PENALTY, PENALTY - VERIFIER_FEE);
        _booked(verifier, VERIFIER_FEE, 0);
        _booked(requester, LOCKED, 0);
    }

    function _sets(IEmethCore.Terms memory next) private {
        _emits();
        emit IEmethCore.TermsChanged(1, next);
        core.setTerms(next);
        _equal(core.currentTerms(), 1, "number of the terms");
        _equal(keccak256(abi.encode(core.terms(1))), keccak256(abi.encode(next)), "terms");
        _equal(keccak256(abi.encode(core.terms(0))), keccak256(abi.encode(_firstTerms())), "terms before");
    }

    /// @dev The penalty is no multiple of four, so that a quarter of it is rounded down.
    function _termsWith(bytes32 field, uint256 value) private pure returns (IEmethCore.Terms memory terms) {
        terms = _defaultTerms();
        (terms.penaltyBps, terms.verifierBps, terms.declineBps) = (2003, 0, 0);
        if (field == "minFee") terms.minFee = uint96(value);
        if (field == "verifierBps") terms.verifierBps = uint16(value);
        if (field == "penaltyBps") terms.penaltyBps = uint16(value);
        if (field == "declineBps") terms.declineBps = uint16(value);
        if (field == "tipBps") terms.tipBps = uint16(value);
        if (field == "burnBps") terms.burnBps = uint16(value);
        if (field == "quorum") terms.quorum = uint8(value);
        if (field == "minWork") terms.minWork = uint24(value);
        if (field == "verdictWindow") terms.verdictWindow = uint24(value);
        if (field == "claimWindow") terms.claimWindow = uint24(value);
    }
}

contract EmethCore_setRegistry_Tree is EscrowFixture {
    function test_WhenTheCallerIsNotTheAdministrator_ItRevertsWithAccessControlUnauthorizedAccount() external {
        _refuses(stranger, abi.encodeCall(core.setRegistry, (stranger)), _unauthorized(stranger, 0));
    }

    function test_WhenThereHaveBeen255Registries_ItRevertsWithPanic() external {
        for (uint256 i = 1; i < 255; ++i) core.setRegistry(stranger);
        _equal(core.registryNumber(), 255, "number of registries");
        _refuses(admin, abi.encodeCall(core.setRegistry, (stranger)), _overflow());
    }

    function test_WhenItIsAnotherRegistry_ItVoidsWhatTheOneBeforeSaid() external {
        _sets(stranger);
        require(!core.isActive(node), "a node of the registry before is active");
        vm.prank(stranger);
        core.setActive(node, true);
        require(core.isActive(node), "the new registry cannot report");
    }

    function test_WhenItIsTheOneBeforeAgain_ItVoidsWhatItSaid() external {
        core.setRegistry(stranger);
        _sets(address(registry));
        require(!core.isActive(node), "an old report counts again");
        registry.sync(node);
        require(core.isActive(node), "the registry cannot report again");
    }

    function test_WhenItIsNone_ItLetsAnybodyTakeJobsAndNobodySetActivity() external {
        _sets(address(0));
        require(core.isActive(stranger), "a registry is still asked");
        bytes16 job = _requested();
        vm.prank(stranger);
        core.process(job);
        _equal(core.jobs(job).node, stranger, "node");
        bytes memory data = abi.encodeCall(core.setActive, (node, true));
        _refuses(admin, data, abi.encodeWithSelector(IEmethCore.EmethCore_NotRegistry.selector, admin));
    }

    function _sets(address next) private {
        _emits();
        emit IEmethCore.RegistryChanged(next);
        core.setRegistry(next);
        _equal(core.registry(), next, "registry");
    }
}

contract EmethCore_setPaused_Tree is EscrowFixture {
    function test_WhenTheCallerIsNoPauser_ItRevertsWithAccessControlUnauthorizedAccount() external {
        bytes memory data = abi.encodeCall(core.setPaused, (true));
        _refuses(admin, data, _unauthorized(admin, keccak256("PAUSER_ROLE")));
        _refuses(verifier, data, _unauthorized(verifier, keccak256("PAUSER_ROLE")));
    }

    function test_WhenAPauserCalls_ItBlocksRequestsAndProcessingUntilItIsUndone() external {
        bytes16 job = _requested();
        core.grantRole(core.PAUSER_ROLE(), stranger);
        _sets(true);
        _refuses(node, abi.encodeCall(core.process, (job)), _paused());
        bytes memory data =
            abi.encodeCall(core.request, (DATASET, PARAMS, FEE, FUEL, uint40(_now()) + WORK, bytes32(uint256(1))));
        _refuses(requester, data, _paused());
        _sets(false);
        _process(job);
        _request(1);
    }

    function test_WhenAPauserCalls_ItBlocksNoExit() external {
        bytes16[6] memory jobs;
        for (uint256 i = 0; i < 6; ++i) {
            jobs[i] = _request(i);
            if (i > 0) _process(jobs[i]);
            if (i > 1) _submit(jobs[i]);
            if (i > 3) _challenge(jobs[i]);
        }
        _pause();
        _verify(jobs[2]);
        _reject(jobs[4]);
        _wait(WORK + 1);
        core.expire(jobs[0]);
        core.timeout(jobs[1]);
        core.finalize(jobs[3]);
        core.unwind(jobs[5]);
        core.payWorkers(jobs[2], RESULT, _payees());
        vm.prank(worker1);
        core.withdraw(worker1, FIRST_PAY);
        _has(worker1, FIRST_PAY);
    }

    function _sets(bool next) private {
        _emits();
        emit IEmethCore.PausedChanged(next);
        vm.prank(stranger);
        core.setPaused(next);
        require(core.paused() == next, "paused");
    }
}

contract EmethCore_setActive_Tree is EscrowFixture {
    function test_WhenTheCallerIsNotTheRegistry_ItRevertsWithNotRegistry() external {
        bytes memory data = abi.encodeCall(core.setActive, (stranger, true));
        _refuses(admin, data, abi.encodeWithSelector(IEmethCore.EmethCore_NotRegistry.selector, admin));
    }

    function test_WhenTheRegistryCalls_GivenTrue_ItLetsTheNodeTakeJobs() external {
        _sets(stranger, true);
        bytes16 job = _requested();
        vm.prank(stranger);
        core.process(job);
        _equal(core.jobs(job).node, stranger, "node");
    }

    function test_WhenTheRegistryCalls_GivenFalse_ItLetsTheNodeTakeNone() external {
        _sets(node, false);
        bytes16 job = _requested();
        bytes memory refusal = abi.encodeWithSelector(IEmethCore.EmethCore_NodeNotActive.selector, node);
        _refuses(node, abi.encodeCall(core.process, (job)), refusal);
    }

    function _sets(address account, bool active) private {
        _emits();
        emit IEmethCore.NodeActivityChanged(account, active);
        vm.prank(address(registry));
        core.setActive(account, active);
        require(core.isActive(account) == active, "activity");
    }
}

contract EmethCore_roles_Tree is EscrowFixture {
    bytes32 private constant VERIFIER = keccak256("VERIFIER_ROLE");
    bytes32 private constant PAUSER = keccak256("PAUSER_ROLE");

    function test_WhenAVerifierIsAppointed_ItCounts() external {
        core.grantRole(VERIFIER, stranger);
        _counts(stranger);
    }

    function test_WhenAVerifierIsDismissed_ItNoLongerCounts() external {
        core.revokeRole(VERIFIER, verifier);
        _countsNoLonger(verifier);
    }

    function test_WhenAVerifierResigns_ItNoLongerCounts() external {
        vm.prank(verifier);
        core.renounceRole(VERIFIER, verifier);
        _countsNoLonger(verifier);
    }

    function test_WhenAPauserIsAppointed_ItIsNoVerifier() external {
        core.grantRole(PAUSER, stranger);
        _countsNoLonger(stranger);
    }

    function test_WhenAVerifierIsMadeAPauserAndDismissedAsSuch_ItStillCounts() external {
        core.grantRole(PAUSER, verifier);
        core.revokeRole(PAUSER, verifier);
        _counts(verifier);
    }

    function test_WhenSomebodyElseThanTheAdministratorAppoints_ItRevertsWithAccessControlUnauthorizedAccount() external {
        _refuses(verifier, abi.encodeCall(core.grantRole, (VERIFIER, stranger)), _unauthorized(verifier, 0));
    }

    function _counts(address account) private {
        bytes16 job = _submitted();
        vm.prank(account);
        core.verify(job, _commitment(), "");
        _inState(job, IEmethCore.State.VERIFIED);
    }

    function _countsNoLonger(address account) private {
        bytes16 job = _submitted();
        bytes memory data = abi.encodeCall(core.verify, (job, _commitment(), ""));
        _refuses(account, data, _notVerifier(account));
    }
}

contract EmethCore_constructor_Tree is EscrowFixture {
    function test_WhenTheTermsAreOutOfBounds_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory terms = _firstTerms();
        terms.quorum = 0;
        vm.expectRevert(_termsOutOfBounds("quorum", 0, 1, 16));
        Deploy.core(address(token), admin, terms, _firstVerifiers(), address(registry));
    }

    function test_WhenTheTermsAreWithinTheBounds_ItTellsTermsRegistryAndVerifiers() external {
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        vm.expectEmit(next);
        emit IEmethCore.TermsChanged(0, _firstTerms());
        vm.expectEmit(next);
        emit IEmethCore.RegistryChanged(stranger);
        vm.expectEmit(next);
        emit IAccessControl.RoleGranted(keccak256("VERIFIER_ROLE"), verifier, address(this));
        Core made = Deploy.core(address(token), requester, _firstTerms(), _firstVerifiers(), stranger);
        _equal(address(made), next, "address");
        _equal(keccak256(abi.encode(made.terms(0))), keccak256(abi.encode(_firstTerms())), "terms");
        _equal(made.registryNumber(), 1, "number of registries");
        require(!made.paused(), "paused");
    }

    function test_WhenTheTermsAreWithinTheBounds_ItGivesTheAdministratorNoRoleButItsOwnAndADelayOfTwoDays() external {
        Core made = Deploy.core(address(token), requester, _firstTerms(), _firstVerifiers(), stranger);
        _equal(made.defaultAdmin(), requester, "administrator");
        _equal(made.defaultAdminDelay(), 172_800, "delay");
        require(!made.hasRole(keccak256("VERIFIER_ROLE"), requester), "the administrator verifies");
        require(!made.hasRole(keccak256("PAUSER_ROLE"), requester), "the administrator pauses");
        require(!made.hasRole(0, address(this)), "the deployer kept a right");
    }
}
