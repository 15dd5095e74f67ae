// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {Core, Deploy} from "./Deployed.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

/// @notice Those who may and those who may not.
abstract contract Rights is EscrowFixture {
    function _unauthorized(address account, bytes32 role) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, account, role);
    }

    function _termsOutOfBounds(bytes32 field, uint256 value, uint256 least, uint256 most) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_TermsOutOfBounds.selector, field, value, least, most);
    }

    function _overflow() internal pure returns (bytes memory) {
        return abi.encodeWithSignature("Panic(uint256)", 0x11);
    }
}

contract EmethCore_setTerms_Tree is Rights {
    /// @dev The highest that the least fee may be.
    uint96 private constant MOST_FEE = 1_000_000e18;

    function test_WhenTheCallerIsNotTheAdministrator_ItRevertsWithAccessControlUnauthorizedAccount() external {
        bytes memory data = abi.encodeCall(core.setTerms, (_firstTerms()));
        _refuses(stranger, data, _unauthorized(stranger, 0));
        _refuses(verifier, data, _unauthorized(verifier, 0));
    }

    function test_WhenThePenaltyIsAboveHalfTheFee_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.penaltyBps = 5001;
        _outOfBounds(next, "penaltyBps", 5001, 100, 5000);
    }

    function test_WhenThePenaltyIsBelowAHundredthOfTheFee_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        (next.penaltyBps, next.verifierBps, next.declineBps) = (99, 0, 0);
        _outOfBounds(next, "penaltyBps", 99, 100, 5000);
    }

    function test_WhenTheVerifierFeeIsAboveAQuarterOfThePenalty_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        (next.penaltyBps, next.verifierBps) = (2003, 501);
        _outOfBounds(next, "verifierBps", 501, 0, 500);
    }

    function test_WhenDecliningCostsMoreThanThePenalty_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.declineBps = 2001;
        _outOfBounds(next, "declineBps", 2001, 0, 2000);
    }

    function test_WhenTheTipIsAboveATenth_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.tipBps = 1001;
        _outOfBounds(next, "tipBps", 1001, 0, 1000);
    }

    function test_WhenTheBurnIsAboveAFifth_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.burnBps = 2001;
        _outOfBounds(next, "burnBps", 2001, 0, 2000);
    }

    function test_WhenTheQuorumIsZero_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.quorum = 0;
        _outOfBounds(next, "quorum", 0, 1, 16);
    }

    function test_WhenTheQuorumIsAbove16_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.quorum = 17;
        _outOfBounds(next, "quorum", 17, 1, 16);
    }

    function test_WhenTheLeastFeeIsZero_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.minFee = 0;
        _outOfBounds(next, "minFee", 0, 1, MOST_FEE);
    }

    function test_WhenTheLeastFeeIsAboveAMillionTokens_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.minFee = MOST_FEE + 1;
        _outOfBounds(next, "minFee", MOST_FEE + 1, 1, MOST_FEE);
    }

    function test_WhenTheLeastWorkIsAboveADay_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.minWork = 86_401;
        _outOfBounds(next, "minWork", 86_401, 0, 86_400);
    }

    function test_WhenTheVerdictWindowIsBelowTenMinutes_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.verdictWindow = 599;
        _outOfBounds(next, "verdictWindow", 599, 600, 14 * 86_400);
    }

    function test_WhenTheVerdictWindowIsAboveFourteenDays_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.verdictWindow = 14 * 86_400 + 1;
        _outOfBounds(next, "verdictWindow", 14 * 86_400 + 1, 600, 14 * 86_400);
    }

    function test_WhenTheClaimWindowIsBelowSevenDays_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.claimWindow = 7 * 86_400 - 1;
        _outOfBounds(next, "claimWindow", 7 * 86_400 - 1, 7 * 86_400, 180 * 86_400);
    }

    function test_WhenTheClaimWindowIsAbove180Days_ItRevertsWithTermsOutOfBounds() external {
        IEmethCore.Terms memory next = _firstTerms();
        next.claimWindow = 180 * 86_400 + 1;
        _outOfBounds(next, "claimWindow", 180 * 86_400 + 1, 7 * 86_400, 180 * 86_400);
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

    function _outOfBounds(IEmethCore.Terms memory next, bytes32 field, uint256 value, uint256 least, uint256 most) private {
        _refuses(admin, abi.encodeCall(core.setTerms, (next)), _termsOutOfBounds(field, value, least, most));
        _equal(core.currentTerms(), 0, "number of the terms");
    }
}

contract EmethCore_setRegistry_Tree is Rights {
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
        require(core.isActive(node), "the new registry is not heard");
    }

    function test_WhenItIsTheOneBeforeAgain_ItVoidsWhatItSaid() external {
        core.setRegistry(stranger);
        _sets(address(registry));
        require(!core.isActive(node), "an old word counts again");
        registry.sync(node);
        require(core.isActive(node), "the registry cannot tell again");
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

contract EmethCore_setPaused_Tree is Rights {
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

contract EmethCore_setActive_Tree is Rights {
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

contract EmethCore_roles_Tree is Rights {
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

contract EmethCore_constructor_Tree is Rights {
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
