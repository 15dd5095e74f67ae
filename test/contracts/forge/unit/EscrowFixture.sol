// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {Fixture} from "./Fixture.sol";
import {World} from "./World.sol";

/// @notice Shared by the tests of the escrow: jobs in any state, its errors with their values, verifiers,
/// payout lists.
abstract contract EscrowFixture is Fixture {
    bytes32 private constant ATTESTATION =
        keccak256("Attestation(bytes16 jobId,bytes20 commitment,bool accepted,bytes16 reasonHash)");
    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @dev By ascending address, once `_panelOfThree` was called.
    uint256[3] internal keys = [uint256(0xC1), 0xC2, 0xC3];
    address[3] internal panel;
    World internal world;

    function setUp() public virtual {
        world = new World(_firstVerifiers(), _firstTerms());
        (token, core, registry, pool) = world.contracts();
    }

    // ---------------------------------------------------------------------------------------------------------- jobs

    function _jobIn(IEmethCore.State state, uint256 salt) internal returns (bytes16) {
        return world.jobIn(state, salt);
    }

    /// @dev The id that the specification says, computed anew.
    function _idOf(address by, uint256 salt, uint96 fee, uint40 fuel, uint256 deadline) internal view returns (bytes16) {
        bytes32 spec =
            keccak256(abi.encode(keccak256(bytes(DATASET)), keccak256(bytes(PARAMS)), fee, fuel, uint40(deadline)));
        return bytes16(keccak256(abi.encode(block.chainid, address(core), by, salt, spec)));
    }

    /// @dev In every state except these two, the call must be refused by the error that names both states.
    function _refusedInAllBut(
        IEmethCore.State needed,
        IEmethCore.State alsoGood,
        address caller,
        function(bytes16) view returns (bytes memory) callOf
    ) internal {
        for (uint8 i = 0; i <= uint8(IEmethCore.State.UNVERIFIED); ++i) {
            IEmethCore.State state = IEmethCore.State(i);
            if (state == needed || state == alsoGood) continue;
            bytes16 job = _jobIn(state, 100 + i);
            _inState(job, state);
            _refuses(caller, callOf(job), _wrongState(job, state, needed));
            _inState(job, state);
        }
    }

    function _refusedInAllBut(IEmethCore.State needed, address caller, function(bytes16) view returns (bytes memory) callOf)
        internal
    {
        _refusedInAllBut(needed, needed, caller, callOf);
    }

    /// @dev A job as `_requested` leaves it; tests change what their call must have changed.
    function _freshJob(uint256 deadline) internal view returns (IEmethCore.Job memory job) {
        (job.state, job.requester, job.fee) = (IEmethCore.State.REQUESTED, requester, FEE);
        (job.fuelLimit, job.deadline) = (FUEL, uint40(deadline));
    }

    /// @dev A job that paid for no result, of which only the state is kept.
    function _endedJob(IEmethCore.State state) internal pure returns (IEmethCore.Job memory job) {
        job.state = state;
    }

    // ------------------------------------------------------------------------------------------------- calls and pay

    /// @dev The call must succeed.
    function _by(address caller, bytes memory data) internal {
        vm.prank(caller);
        (bool done,) = address(core).call(data);
        require(done, "the call was refused");
    }

    /// @dev A result that stands without a verdict: the event, the job, and everybody's money.
    function _settles(bytes16 job, address caller, IEmethCore.Verdict verdict, bytes memory data) internal {
        _emits();
        emit IEmethCore.JobVerified(
            job, node, verdict, PAYOUT, LOCKED - PAYOUT - BURNT, FEE, _now() / 1 days, BURNT, address(0), 0
        );
        _by(caller, data);
        IEmethCore.Job memory expected = _freshJob(_now() + CLAIM_WINDOW);
        (expected.state, expected.node) = (IEmethCore.State.VERIFIED, node);
        (expected.payout, expected.commitment) = (PAYOUT, _commitment());
        _isJob(job, expected);
        _booked(requester, LOCKED - PAYOUT - BURNT, 0);
        _booked(node, FEE, BURNT);
        _booked(verifier, 0, 0);
        _booked(address(0), 0, 0);
        _has(address(core), LOCKED + FEE);
        _equal(core.slotBurntBy(_now() / 1 days, node), BURNT, "burnt by the node");
    }

    function _list(uint256 count, uint96 each) internal pure returns (IEmethCore.Payee[] memory payees) {
        payees = new IEmethCore.Payee[](count);
        for (uint256 i = 0; i < count; ++i) payees[i] = IEmethCore.Payee(address(uint160(0x9000 + i)), each);
    }

    function _verifiedWith(uint40 fuelUsed, bytes32 root) internal returns (bytes16 job) {
        job = _processing();
        vm.prank(node);
        core.submit(job, RESULT, fuelUsed, root, "r");
        vm.prank(requester);
        core.accept(job);
    }

    function _pay(bytes16 job, IEmethCore.Payee[] memory payees) internal view returns (bytes memory) {
        return abi.encodeCall(core.payWorkers, (job, RESULT, payees));
    }

    /// @dev The claim of one of the two payees of the usual list.
    function _claim(bytes16 job, uint256 index) internal view returns (bytes memory) {
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = index == 0 ? _leaf(1, worker2, SECOND_PAY) : _leaf(0, worker1, FIRST_PAY);
        (address worker, uint96 amount) = index == 0 ? (worker1, FIRST_PAY) : (worker2, SECOND_PAY);
        return abi.encodeCall(core.claimPay, (job, RESULT, _root(), index, worker, amount, proof));
    }

    // --------------------------------------------------------------------------------------------------------- errors

    function _wrongState(bytes16 job, IEmethCore.State state, IEmethCore.State needed) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_WrongState.selector, job, state, needed);
    }

    function _notNode(bytes16 job, address caller) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_NotNode.selector, job, caller);
    }

    function _notRequester(bytes16 job, address caller) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_NotRequester.selector, job, caller);
    }

    function _deadlinePassed(bytes16 job, uint256 deadline) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_DeadlinePassed.selector, job, deadline);
    }

    function _tooEarly(bytes16 job, uint256 opensAt) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_TooEarly.selector, job, opensAt);
    }

    function _wrongResult(bytes16 job, bytes20 commitment) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_WrongResult.selector, job, commitment);
    }

    function _wrongPayout(bytes16 job, uint256 sum, uint256 payout) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_WrongPayout.selector, job, sum, payout);
    }

    function _notEnoughCredit(address account, uint256 owned, uint256 amount) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_NotEnoughCredit.selector, account, owned, amount);
    }

    function _notVerifier(address account) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_NotVerifier.selector, account);
    }

    function _paused() internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_Paused.selector);
    }

    function _quorumNotReached(uint256 count, uint256 quorum) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_QuorumNotReached.selector, count, quorum);
    }

    function _unauthorized(address account, bytes32 role) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, account, role);
    }

    function _termsOutOfBounds(bytes32 field, uint256 value, uint256 least, uint256 most) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_TermsOutOfBounds.selector, field, value, least, most);
    }

    function _overflow() internal pure returns (bytes memory) {
        return abi.encodeWithSignature("Panic(uint256)", 0x11);
    }

    // ----------------------------------------------------------------------------------------------------- signatures

    function _digest(bytes32 content) internal view returns (bytes32) {
        bytes32 domain =
            keccak256(abi.encode(DOMAIN, keccak256("EmethCore"), keccak256("1"), block.chainid, address(core)));
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _attest(uint256 key, bytes16 job, bool accepted, bytes16 reason) internal view returns (bytes memory) {
        return _sign(key, _digest(keccak256(abi.encode(ATTESTATION, job, _commitment(), accepted, reason))));
    }

    /// @dev Three verifiers, sorted by address.
    function _panelOfThree() internal returns (address[] memory verifiers) {
        for (uint256 i = 1; i < 3; ++i) {
            for (uint256 j = i; j > 0 && vm.addr(keys[j - 1]) > vm.addr(keys[j]); --j) {
                (keys[j - 1], keys[j]) = (keys[j], keys[j - 1]);
            }
        }
        verifiers = new address[](3);
        for (uint256 i = 0; i < 3; ++i) verifiers[i] = panel[i] = vm.addr(keys[i]);
    }

    function _signed(uint256 count, uint256 first, uint256 second, bytes16 job, bool accepted)
        internal
        view
        returns (bytes memory attestations)
    {
        bytes16 reason = accepted ? bytes16(0) : REASON;
        if (count > 0) attestations = _attest(first, job, accepted, reason);
        if (count > 1) attestations = bytes.concat(attestations, _attest(second, job, accepted, reason));
    }

    // ------------------------------------------------------------------------------------------------------- settings

    function _pause() internal {
        core.grantRole(core.PAUSER_ROLE(), admin);
        core.setPaused(true);
    }
}
